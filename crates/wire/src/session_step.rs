//! `Farthing-Session`: a call that is paid with a link of a session's hash chain. In a request it says which session, up to
//! which step, and shows that step's link; in an answer it says where the session stands.
//!
//! ```text
//! Farthing-Session: <session, 22 characters>.<step, decimal>.<link, 43 characters>       in a request
//! Farthing-Session: <the same>; steps=2                           in a request that pays so many steps
//! Farthing-Session: generation=0; high=17; left=983                                      in an answer
//! ```

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::b64;

/// A call's credential. What it shows is worth money until it is used, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionStep {
    /// The session.
    pub session: [u8; 16],
    /// The step whose link is shown: it is the last of those that pay for the call.
    pub step: u32,
    /// The link.
    pub link: [u8; 32],
    /// How many steps the payer means to pay with: a price that takes more is refused. Without it the price alone says how many.
    pub steps: Option<u32>,
}

/// A text that is no such credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected <session>.<step>.<link>, two of them in base64url and a decimal between, and perhaps ; steps=<decimal>; see docs/sessions.md"
)]
pub struct SessionStepError;

impl FromStr for SessionStep {
    type Err = SessionStepError;

    fn from_str(text: &str) -> Result<Self, SessionStepError> {
        const LONGEST: usize = 22 + 1 + 10 + 1 + 43 + "; steps=".len() + 10;
        if text.len() > LONGEST {
            return Err(SessionStepError);
        }
        let (text, steps) = match text.split_once(';') {
            Some((text, parameter)) => {
                let steps = parameter.trim_start_matches(' ').strip_prefix("steps=");
                (text, Some(steps.and_then(number).ok_or(SessionStepError)?))
            }
            None => (text, None),
        };
        let mut parts = text.split('.');
        let (Some(session), Some(step), Some(link), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SessionStepError);
        };
        let step = number(step).ok_or(SessionStepError)?;
        let (session, link) = (b64::decode_array(session), b64::decode_array(link));
        match (session, link) {
            (Some(session), Some(link)) => Ok(Self { session, step, link, steps }),
            _ => Err(SessionStepError),
        }
    }
}

/// A number from 1 in its one form.
fn number(text: &str) -> Option<u32> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

impl SessionStep {
    /// The text of the header.
    pub fn encode(&self) -> String {
        let steps = self.steps.map(|steps| format!("; steps={steps}")).unwrap_or_default();
        format!("{}.{}.{}{steps}", b64::encode(&self.session), self.step, b64::encode(&self.link))
    }
}

impl fmt::Debug for SessionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStep")
            .field("step", &self.step)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStanding {
    /// How often another chain has taken the place of the one before.
    pub generation: u32,
    /// The highest step of the present chain that was shown: whoever has lost count goes on with the next.
    pub high: u32,
    /// How many steps are left.
    pub left: u32,
}

impl SessionStanding {
    /// The text of the header.
    pub fn encode(&self) -> String {
        // Whole at once: it goes with every call.
        const LONGEST: usize = "generation=; high=; left=".len() + 3 * 10;
        let mut text = String::with_capacity(LONGEST);
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{self}"));
        text
    }
}

impl fmt::Display for SessionStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, high, left } = self;
        write!(f, "generation={generation}; high={high}; left={left}")
    }
}

impl FromStr for SessionStanding {
    type Err = SessionStepError;

    fn from_str(text: &str) -> Result<Self, SessionStepError> {
        let mut read = [None; 3];
        for part in text.split(';') {
            let (name, value) = part.trim().split_once('=').ok_or(SessionStepError)?;
            let place = ["generation", "high", "left"].iter().position(|known| *known == name);
            // What a later version says besides is not for us.
            if let Some(slot) = place.and_then(|place| read.get_mut(place)) {
                *slot = Some(value.parse().map_err(|_| SessionStepError)?);
            }
        }
        let [Some(generation), Some(high), Some(left)] = read else { return Err(SessionStepError) };
        Ok(Self { generation, high, left })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_text_of_a_step_is_read() {
        let step = SessionStep { session: [1; 16], step: 17, link: [2; 32], steps: None };
        let text = step.encode();
        assert_eq!(text.parse(), Ok(step.clone()));
        let two = SessionStep { steps: Some(2), ..step.clone() };
        assert_eq!(two.encode(), format!("{text}; steps=2"));
        assert_eq!(format!("{text};steps=2").parse(), Ok(two));
        for bad in [
            String::new(),
            text.replace(".17.", ".017."),
            text.replace(".17.", ".0."),
            text.replace(".17.", ".+17."),
            text.replace(".17.", ".4294967296."),
            text.replace(".17.", "."),
            format!("{text}."),
            format!(" {text}"),
            format!("{text};"),
            format!("{text}; steps="),
            format!("{text}; steps=0"),
            format!("{text}; steps=02"),
            format!("{text}; steps=+2"),
            format!("{text}; step=2"),
            format!("{text}; steps=2;"),
            format!("{text}; steps=4294967296"),
            text[1..].to_owned(),
        ] {
            assert_eq!(bad.parse::<SessionStep>(), Err(SessionStepError), "{bad}");
        }
        assert_eq!(format!("{step:?}"), "SessionStep { step: 17, steps: None, .. }");
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(session: [u8; 16], step in 1_u32.., link: [u8; 32], more in proptest::option::of(1_u32..), high: u32, left: u32) {
            let credential = SessionStep { session, step, link, steps: more };
            prop_assert_eq!(credential.encode().parse(), Ok(credential));
            let standing = SessionStanding { generation: step, high, left };
            prop_assert_eq!(standing.encode().parse(), Ok(standing));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = (text.parse::<SessionStep>(), text.parse::<SessionStanding>());
        }
    }
}
