//! What a DASH manifest says of one representation, and the addresses that follow from it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::dash::{SEGMENTS_MOST, VALUE_BYTES_MAX};
use super::told::{Length, Told};

/// An address that is longer is none.
pub(super) const ADDRESS_BYTES_MAX: usize = 4 * 1_024;
/// What is written from one manifest at the most, each address with its place in the list.
pub(super) const WRITTEN_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// What an address costs beside its bytes.
const PLACE_BYTES: usize = 64;

/// What applies at a place of the manifest. What is inside shares it.
#[derive(Clone, Default)]
pub(super) struct Scope {
    /// The length of the present period in thousandths, if it is said.
    period: Option<u64>,
    base: Base,
    /// Whether the base was said here; of several the first holds.
    has_base: bool,
    representation: Arc<str>,
    bandwidth: Arc<str>,
    media: Option<Arc<str>>,
    initialization: Option<Arc<str>>,
    timescale: Option<u64>,
    duration: Option<u64>,
    first: Option<u64>,
    pub(super) timeline: Arc<Runs>,
    /// Addresses of a list; nothing is the base itself.
    pub(super) list: Arc<[Option<Arc<str>>]>,
}

/// What addresses are relative to.
#[derive(Clone)]
enum Base {
    At(Arc<str>),
    /// It cannot be read, so there are no addresses.
    Lost,
}

impl Default for Base {
    fn default() -> Self {
        Self::At(Arc::default())
    }
}

/// A timeline: lengths, in the timescale, and how often each comes.
#[derive(Default)]
pub(super) struct Runs(Vec<Run>);

struct Run {
    begins: u64,
    /// Nothing if it cannot be read.
    length: Option<u64>,
    count: u64,
}

/// The addresses of a manifest, as far as there is room for them.
pub(super) struct Addresses {
    told: Vec<Told>,
    most: usize,
    room: usize,
    full: bool,
}

type Value = Option<Arc<str>>;

impl Runs {
    /// A length, and how often it comes again: below nothing until the period ends.
    pub(super) fn run(&mut self, begins: Value, length: Value, again: Value, scope: &Scope) {
        if self.0.len() >= SEGMENTS_MOST {
            return;
        }
        let length = length.and_then(|text| text.parse().ok()).filter(|length| *length > 0);
        let begins = begins.and_then(|text| text.parse().ok()).unwrap_or_else(|| self.end());
        let again = again.map_or(Some(0), |text| text.parse::<i64>().ok()).unwrap_or(0);
        let count = match u64::try_from(again) {
            Ok(again) => again.saturating_add(1),
            Err(_) => scope.rest(begins, length),
        };
        self.0.push(Run { begins, length, count });
    }

    fn end(&self) -> u64 {
        self.0
            .last()
            .map_or(0, |run| run.begins.saturating_add(run.count.saturating_mul(run.length.unwrap_or(0))))
    }

    /// Where each begins and how long it lasts.
    fn each(&self) -> impl Iterator<Item = (u64, Option<u64>)> {
        self.0.iter().flat_map(Run::each)
    }
}

impl Run {
    fn each(&self) -> impl Iterator<Item = (u64, Option<u64>)> + use<> {
        let Self { begins, length, count } = *self;
        let step = length.unwrap_or(0);
        (0..count).map(move |n| (begins.saturating_add(n.saturating_mul(step)), length))
    }
}

impl Scope {
    /// The same for what is inside.
    pub(super) fn inside(&self) -> Self {
        Self { has_base: false, ..self.clone() }
    }

    /// How long the period lasts, if that is said.
    pub(super) fn lasts(&mut self, value: Value) {
        self.period = value.and_then(|text| span(&text)).or(self.period);
    }

    pub(super) fn is_called(&mut self, id: Value, bandwidth: Value) {
        (self.representation, self.bandwidth) = (id.unwrap_or_default(), bandwidth.unwrap_or_default());
    }

    /// What a template or a list says of all segments.
    pub(super) fn is_cut_by(&mut self, value: impl Fn(&str) -> Value) {
        self.media = value("media").or(self.media.take());
        self.initialization = value("initialization").or(self.initialization.take());
        let number = |name: &str, before: Option<u64>| match value(name) {
            Some(text) => text.parse().ok(),
            None => before,
        };
        self.timescale = number("timescale", self.timescale);
        self.duration = number("duration", self.duration).filter(|duration| *duration > 0);
        self.first = number("startNumber", self.first);
    }

    /// What is read before the first segment.
    pub(super) fn begins_with(&mut self, address: Value) {
        self.initialization = address;
    }

    /// What all addresses are relative to.
    pub(super) fn is_based(&mut self, reference: &str) {
        if self.has_base {
            return;
        }
        self.has_base = true;
        self.base = match self.place(reference) {
            Some(base) if reference.len() <= VALUE_BYTES_MAX => Base::At(base.into()),
            _ => Base::Lost,
        };
    }

    /// How many of a length there are until the period ends.
    fn rest(&self, at: u64, length: Option<u64>) -> u64 {
        let period = self.period.unwrap_or(0).saturating_mul(self.timescale.unwrap_or(1)) / 1_000;
        length.map_or(0, |length| period.saturating_sub(at).div_ceil(length.max(1)))
    }

    /// A length in thousandths, rounded up.
    fn millis(&self, length: Option<u64>) -> Length {
        let scale = u128::from(self.timescale.unwrap_or(1).max(1));
        let millis = |length: u64| u128::from(length).saturating_mul(1_000).div_ceil(scale);
        Length::whole(length.and_then(|length| u64::try_from(millis(length)).ok()))
    }

    /// A reference against the base, which may itself be one.
    fn place(&self, reference: &str) -> Option<String> {
        let Base::At(base) = &self.base else { return None };
        let is_whole = base.is_empty() || reference.starts_with('/') || reference.contains("://");
        let folder = if is_whole { "" } else { base.rsplit_once('/').map_or("", |(folder, _)| folder) };
        let address = if is_whole || folder.is_empty() && !base.starts_with('/') {
            reference.to_owned()
        } else {
            format!("{folder}/{reference}")
        };
        (address.len() <= ADDRESS_BYTES_MAX).then_some(address)
    }

    /// The address of a template with its identifiers filled in, such as `$Number%05d$`.
    fn filled(&self, template: &str, number: u64, time: u64) -> Option<String> {
        let mut filled = String::new();
        // Every second part stands between two signs; an empty one is the sign itself.
        for (at, part) in template.split('$').enumerate() {
            let (name, width) = part.split_once("%0").unwrap_or((part, ""));
            let width = width.trim_end_matches('d').parse::<usize>().unwrap_or(0).min(32);
            match name {
                _ if at % 2 == 0 => filled.push_str(part),
                "" => filled.push('$'),
                "Number" => write!(filled, "{number:0width$}").ok()?,
                "Time" => write!(filled, "{time:0width$}").ok()?,
                "RepresentationID" => filled.push_str(&self.representation),
                "Bandwidth" => filled.push_str(&self.bandwidth),
                _ => return None,
            }
            if filled.len() > ADDRESS_BYTES_MAX {
                return None;
            }
        }
        self.place(&filled)
    }
}

impl Addresses {
    pub(super) fn new(most: usize) -> Self {
        Self { told: Vec::new(), most, room: WRITTEN_BYTES_MAX, full: false }
    }

    pub(super) fn are_full(&self) -> bool {
        self.full
    }

    pub(super) fn told(self) -> Vec<Told> {
        self.told
    }

    /// Writes out all that a representation says.
    pub(super) fn write(&mut self, scope: &Scope) {
        if let Some(initialization) = &scope.initialization {
            self.add(scope.filled(initialization, 0, 0), Length::BEFORE);
        }
        if scope.list.is_empty() {
            self.write_template(scope);
        } else {
            self.write_list(scope);
        }
    }

    fn write_list(&mut self, scope: &Scope) {
        let lengths =
            scope.timeline.each().map(|(_, length)| length).chain(std::iter::repeat(scope.duration));
        for (media, length) in scope.list.iter().zip(lengths) {
            let address = match (media, &scope.base) {
                (Some(media), _) => scope.place(media),
                (None, Base::At(base)) => Some(base.to_string()),
                (None, Base::Lost) => None,
            };
            if !self.add(address, scope.millis(length)) {
                return;
            }
        }
    }

    fn write_template(&mut self, scope: &Scope) {
        let Some(media) = &scope.media else { return };
        let first = scope.first.unwrap_or(1);
        let one_for_all = scope.duration.filter(|_| scope.timeline.0.is_empty()).map(|length| Run {
            begins: 0,
            length: Some(length),
            count: scope.rest(0, Some(length)),
        });
        let segments = one_for_all.iter().flat_map(Run::each).chain(scope.timeline.each());
        for (n, (at, length)) in (0..).zip(segments).take(SEGMENTS_MOST) {
            let number = first.checked_add(n);
            let address = number.and_then(|number| scope.filled(media, number, at));
            if !self.add(address, scope.millis(length)) {
                return;
            }
        }
    }

    /// Adds an address, and says whether there is room for more. One that came to nothing has cost something too.
    fn add(&mut self, address: Option<String>, length: Length) -> bool {
        let bytes = address.as_ref().map_or(ADDRESS_BYTES_MAX, String::len).saturating_add(PLACE_BYTES);
        match self.room.checked_sub(bytes).filter(|_| self.told.len() < self.most) {
            Some(room) => {
                self.room = room;
                self.told.extend(address.map(|address| Told { address, length }));
            }
            None => self.full = true,
        }
        !self.full
    }
}

/// A span such as `PT1H2M3.5S` in thousandths, rounded up.
fn span(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix("PT")?;
    let mut sum = 0_u64;
    for (sign, factor) in [('H', 3_600), ('M', 60), ('S', 1)] {
        if let Some((number, after)) = rest.split_once(sign) {
            sum = sum.checked_add(super::millis(number)?.checked_mul(factor)?)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_exactly() {
        assert_eq!(span("PT1H1M1.5S"), Some(3_661_500));
        assert_eq!((span("P1D"), span("PT5"), span("PT-1S")), (None, None, None));
    }
}
