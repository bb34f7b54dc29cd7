//! NUT-01 and NUT-02: keys and the names of keysets.

use std::collections::BTreeMap;

use farthing_ecash::{Keyset, KeysetId, PublicKey};

use crate::read::{Vector, vectors};

type Keys = BTreeMap<u64, PublicKey>;

#[test]
fn nut_01_keys() {
    let files = vectors("nut01", 4);
    let parsed: Vec<_> = files.iter().map(Vector::parsed::<Keys>).collect();
    let said = parsed[0].as_ref().unwrap_err().to_string();
    assert!(said.contains("66 hexadecimal digits"), "a key is too short: {said}");
    assert!(parsed[1].is_err(), "a key is not compressed");
    assert_eq!(parsed[2].as_ref().unwrap().len(), 4);
    assert_eq!(parsed[3].as_ref().unwrap().len(), 64);
}

#[test]
fn nut_02_ids() {
    let expected = [
        ("00456a94ab4e1c46", 0, None),
        ("000f01df73ea149a", 0, None),
        ("015ba18a8adcd02e715a58358eb618da4a4b3791151a4bee5e968bb88406ccf76a", 100, Some(2_059_210_353)),
        ("01ab6aa4ff30390da34986d84be5274b48ad7a74265d791095bfc39f4098d9764f", 0, Some(2_059_210_353)),
        ("012fbb01a4e200c76df911eeba3b8fe1831202914b24664f4bccbd25852a6708f8", 0, None),
    ];
    for (vector, (text, input_fee_ppk, final_expiry)) in vectors("nut02", 5).iter().zip(expected) {
        let keys: Keys = vector.parsed().unwrap();
        let (id, unit) = (text.parse().unwrap(), "sat".parse().unwrap());
        let computed = match id {
            KeysetId::V1(_) => KeysetId::v1(&keys),
            KeysetId::V2(_) => KeysetId::v2(&keys, unit, input_fee_ppk, final_expiry),
        };
        assert_eq!(computed.to_string(), text, "{}", vector.case);
        let mut keyset = Keyset { id, unit, active: true, input_fee_ppk, final_expiry, keys };
        assert_eq!(keyset.check_id(), Ok(()));
        keyset.keys.pop_first();
        assert!(keyset.check_id().is_err());
    }
}
