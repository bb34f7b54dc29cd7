//! Reading the vector files: JSON, `name: value` lines and CBOR's diagnostic notation.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

/// One case of a file.
#[derive(Deserialize)]
pub struct Vector {
    pub case: String,
    data: Value,
}

/// All cases of a file, whose number the caller states, so that a new one is not passed over.
pub fn vectors(file: &str, count: usize) -> Vec<Vector> {
    let path = format!("{}/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file.vectors.len(), count);
    file.vectors
}

impl Vector {
    pub fn text(&self) -> &str {
        self.data.as_str().unwrap()
    }

    pub fn json(&self) -> &Value {
        &self.data
    }

    pub fn parsed<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.data.clone())
    }

    /// The values of the lines `name: value # comment` in order.
    pub fn values(&self) -> Vec<String> {
        let line = |line: &str| {
            let line = line.split('#').next()?.trim();
            let (_, value) = line.split_once(": ").or_else(|| line.split_once(' '))?;
            Some(value.trim().trim_matches('"').to_owned())
        };
        self.text().lines().filter_map(line).collect()
    }

    /// CBOR's diagnostic notation as JSON, with bytes in hexadecimal.
    pub fn diagnostic(&self) -> Value {
        let mut text: String = self.text().replace("h'", "\"").replace('\'', "\"");
        text.retain(|c| !c.is_ascii_whitespace() || c == ' ');
        for (open, closed) in [("    ", ""), (",}", "}"), (",]", "]")] {
            text = text.replace(open, closed);
        }
        serde_json::from_str(&text).unwrap()
    }
}
