//! What is paid for, as x402 tells it to wallets and catalogues.

use serde::{Deserialize, Serialize};

use super::X402Error;

const NAME_MOST: usize = 32;
const TAGS_MOST: usize = 5;
const ICON_URL_MOST: usize = 2048;

/// The resource of an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Its address.
    pub url: String,
    /// A sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The media type of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Who serves it: 1 to 32 printable characters of ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// At most five words like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// A picture, at most 2048 characters of address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
}

impl Resource {
    /// A resource of which only the address is told.
    pub fn of(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Refuses what the reference's clients would not read.
    pub fn check(&self) -> Result<(), X402Error> {
        let name = |text: &String| {
            (1..=NAME_MOST).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        };
        let refuse = |member, expected| Err(X402Error::Member { member, expected });
        if self.url.is_empty() {
            return refuse("resource.url", "an address that is not empty");
        }
        if self.service_name.as_ref().is_some_and(|text| !name(text)) {
            return refuse("resource.serviceName", "1 to 32 printable characters of ASCII");
        }
        if !self.tags.as_ref().is_none_or(|tags| tags.len() <= TAGS_MOST && tags.iter().all(name)) {
            return refuse("resource.tags", "at most 5, each 1 to 32 printable characters of ASCII");
        }
        if self.icon_url.as_ref().is_some_and(|url| url.encode_utf16().count() > ICON_URL_MOST) {
            return refuse("resource.iconUrl", "at most 2048 characters");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_refuse_is_refused() {
        let sound = Resource {
            url: "u".into(),
            service_name: Some("x".repeat(32)),
            tags: Some(vec!["a b".into(); 5]),
            icon_url: Some("é".repeat(2048)),
            ..Resource::default()
        };
        assert_eq!(sound.check(), Ok(()));
        let bad = [
            Resource { url: String::new(), ..sound.clone() },
            Resource { service_name: Some(String::new()), ..sound.clone() },
            Resource { service_name: Some("x".repeat(33)), ..sound.clone() },
            Resource { service_name: Some("é".into()), ..sound.clone() },
            Resource { tags: Some(vec!["a".into(); 6]), ..sound.clone() },
            Resource { tags: Some(vec!["\n".into()]), ..sound.clone() },
            Resource { icon_url: Some("x".repeat(2049)), ..sound },
        ];
        for resource in bad {
            assert_eq!(resource.check().unwrap_err().code(), "x402-malformed", "{resource:?}");
        }
    }

    #[test]
    fn null_is_nothing() {
        let read: Resource =
            serde_json::from_str(r#"{"url":"u","tags":null,"iconUrl":null,"new":1}"#).unwrap();
        assert_eq!(read, Resource::of("u"));
    }
}
