//! Reading the vector file, and the keys of the accounts in it.

use farthing_channel::{Address, ChainId, Digest, Domain, Signature, SigningKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The first accounts of the words `test test test test test test test test test test test junk`.
const ACCOUNTS: [&str; 4] = [
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
];

/// One case of `eip712.json`.
#[derive(Deserialize)]
pub struct Vector {
    name: String,
    signer: Address,
    domain: Value,
    message: Value,
    digest: Digest,
    signature: Signature,
}

/// A whole file.
pub fn file(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The values of an object by the names of its members, one inside the other: `at(&file, "permitted.token")`.
pub fn at<T: DeserializeOwned>(value: &Value, path: &str) -> T {
    let member = path.split('.').fold(value, |value, name| &value[name]);
    serde_json::from_value(member.clone()).unwrap()
}

/// The key of an account.
pub fn key_of(account: Address) -> SigningKey {
    let keys = ACCOUNTS.iter().map(|secret| SigningKey::from_hex(secret).unwrap());
    keys.into_iter().find(|key| key.address() == account).unwrap()
}

/// The case of this name in `eip712.json`.
pub fn vector(name: &str) -> Vector {
    let vectors: Vec<Vector> = at(&file("eip712"), "vectors");
    vectors.into_iter().find(|vector| vector.name == name).unwrap()
}

impl Vector {
    /// A member of its message.
    pub fn member<T: DeserializeOwned>(&self, path: &str) -> T {
        at(&self.message, path)
    }

    /// The golden signature.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Its domain.
    pub fn domain(&self) -> Domain {
        let version = self.domain.get("version").map(|version| version.as_str().unwrap());
        let chain = ChainId::new(at(&self.domain, "chainId"));
        let contract = at(&self.domain, "verifyingContract");
        Domain::new(self.domain["name"].as_str().unwrap(), version, chain, Some(contract))
    }

    /// That our digest is the golden one, and that its signature is what we make of it and comes from its signer.
    pub fn check(&self, digest: Digest) {
        check(&self.name, self.signer, digest, (self.digest, self.signature));
    }
}

/// That our digest is the expected one, and that the expected signature is what we make of it and comes from its signer.
pub fn check(name: &str, signer: Address, digest: Digest, expected: (Digest, Signature)) {
    let (expected_digest, signature) = expected;
    assert_eq!(digest, expected_digest, "{name}");
    assert_eq!(signature.recover(&digest), Ok(signer), "{name}");
    let key = key_of(signer);
    assert_eq!(key.sign(&digest), signature, "{name}");
    assert!(key.public_key().verify(&digest, &signature), "{name}");
}
