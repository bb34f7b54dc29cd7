//! The European Central Bank's daily reference rates (`eurofxref-daily.xml`): a `Cube` with the day, and in it one for each
//! currency, in units for one euro.

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::feed::{Feed, FormatError, add, moment};

const FORMAT: &str = "ecb";
/// The bank writes about thirty.
const RATES_MOST: usize = 1_000;

fn torn(reason: &dyn ToString) -> FormatError {
    FormatError::Torn { format: FORMAT, reason: reason.to_string() }
}

pub(super) fn read(bytes: &[u8]) -> Result<Feed, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|error| torn(&error))?;
    let mut reader = Reader::from_str(text);
    let (mut at, mut rates, mut depth, mut closed) = (None, Vec::new(), 0_usize, false);
    loop {
        let event = reader.read_event().map_err(|error| torn(&error))?;
        let cube = match &event {
            Event::Start(element) => {
                depth = depth.saturating_add(1);
                Some(element)
            }
            Event::Empty(element) => Some(element),
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                closed |= depth == 0;
                None
            }
            // Entities of its own would be another way to write anything.
            Event::DocType(_) => return Err(torn(&"a document type")),
            Event::Eof => break,
            _ => None,
        };
        let Some(cube) = cube.filter(|element| element.local_name().as_ref() == "Cube") else { continue };
        let attribute = |name| attribute(cube, name);
        if let Some(time) = attribute("time")?
            && at.replace(moment(&time)?).is_some()
        {
            return Err(torn(&"two days; expected the daily feed, not the history"));
        }
        if let (Some(code), Some(rate)) = (attribute("currency")?, attribute("rate")?) {
            add(&mut rates, &code, &rate)?;
        }
        if rates.len() > RATES_MOST {
            return Err(torn(&"too many rates"));
        }
    }
    if !closed || depth != 0 {
        return Err(torn(&"it ends too early"));
    }
    let at = at.ok_or_else(|| FormatError::Day(String::new()))?;
    let base = "EUR".parse().map_err(|_| FormatError::Code("EUR".to_owned()))?;
    Ok(Feed { base, at, rates })
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, FormatError> {
    let found = element.try_get_attribute(name).map_err(|error| torn(&error))?;
    Ok(found.map(|found| found.value.into_owned()))
}
