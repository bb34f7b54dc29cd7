//! The first part of a plain text.

use super::Part;

/// The part of a text that is shown; nothing if there is no rest. `whole` says whether all of the text was read.
pub fn text<'a>(text: &'a str, whole: bool, part: &Part) -> Option<&'a str> {
    let end = match part {
        Part::Paragraphs(count) => end_of_paragraph(text, *count)?,
        Part::Words(count) => start_of_word(text, *count)?,
        Part::Until(marker) => text.find(marker.as_str())?,
        Part::Bytes(_) => text.len(),
        Part::Items { .. } | Part::Preview(_) => return None,
    };
    let end = text.floor_char_boundary(end.min(part.most()));
    let (shown, rest) = text.split_at_checked(end)?;
    let has_rest = !whole || matches!(part, Part::Until(_)) || !rest.trim().is_empty();
    has_rest.then(|| shown.trim_end()).filter(|shown| !shown.is_empty())
}

/// Where the paragraph ends that is the `count`th; lines without a letter are between them.
fn end_of_paragraph(text: &str, count: u32) -> Option<usize> {
    let (mut ended, mut within, mut at) = (0_u32, false, 0_usize);
    for line in text.split_inclusive('\n') {
        let blank = line.trim().is_empty();
        if within && blank {
            ended = ended.saturating_add(1);
            if ended == count {
                return Some(at);
            }
        }
        within = !blank;
        at = at.saturating_add(line.len());
    }
    None
}

/// Where the word begins that is the first after `count`.
pub(super) fn start_of_word(text: &str, count: u32) -> Option<usize> {
    let (mut begun, mut within) = (0_u32, false);
    for (at, c) in text.char_indices() {
        let space = c.is_whitespace();
        if !space && !within {
            if begun == count {
                return Some(at);
            }
            begun = begun.saturating_add(1);
        }
        within = !space;
    }
    None
}

/// How many words there are.
pub(super) fn words(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_it_is_said_and_not_shown_without_a_rest() {
        let two = "One line\nand another.\n\n  \nTwo is here.\n\nThree.";
        for (part, expected) in [
            (Part::Paragraphs(1), Some("One line\nand another.")),
            (Part::Paragraphs(2), Some("One line\nand another.\n\n  \nTwo is here.")),
            (Part::Paragraphs(3), None),
            (Part::Words(3), Some("One line\nand")),
            (Part::Words(7), Some("One line\nand another.\n\n  \nTwo is here.")),
            (Part::Words(8), None),
            (Part::Until("Two".into()), Some("One line\nand another.")),
            (Part::Until("Four".into()), None),
            (Part::Bytes(3), Some("One")),
            (Part::Bytes(1_000), None),
            (Part::Items { count: 1, at: String::new() }, None),
        ] {
            assert_eq!(text(two, true, &part), expected, "{part}");
        }
        assert_eq!(text("aé", true, &Part::Bytes(2)), Some("a"), "no half of a letter");
        assert_eq!(text("ab", false, &Part::Bytes(2)), Some("ab"), "there is more");
    }
}
