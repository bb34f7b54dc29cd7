//! A tiny film as HLS, made in code: uncompressed H.264 in MPEG transport streams, so that a demo has a video to pay by the second without
//! carrying one along. A bar walks through a grey field; each segment lasts two seconds.

/// Segments of the film.
pub(super) const SEGMENTS: u32 = 6;
/// How long each lasts, in seconds.
const SECONDS: u32 = 2;
/// Pictures in a second.
const RATE: u32 = 5;
/// Macroblocks (16 x 16) in a row and in a column.
const ACROSS: u32 = 4;
const DOWN: u32 = 3;

const VIDEO: u16 = 0x100;
const PROGRAM: u16 = 0x1000;

/// The playlist.
pub(super) fn playlist() -> String {
    let head = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{SECONDS}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
    );
    let list = (0..SEGMENTS).fold(head, |list, n| list + &format!("#EXTINF:{SECONDS}.000000,\n{n}.ts\n"));
    list + "#EXT-X-ENDLIST\n"
}

/// A segment.
pub(super) fn segment(number: u32) -> Vec<u8> {
    let mut stream = Stream::default();
    stream.table(0, &association());
    stream.table(PROGRAM, &program());
    let first = number * SECONDS * RATE;
    for picture in first..first + SECONDS * RATE {
        let ticks = u64::from(picture) * 90_000 / u64::from(RATE) + 90_000;
        stream.picture(&access_unit(picture), ticks);
    }
    stream.bytes
}

/// What a decoder is given for one picture: a delimiter, the parameters, and the picture itself.
fn access_unit(picture: u32) -> Vec<u8> {
    let mut unit = Vec::new();
    for (kind, payload) in
        [(9, vec![0x10]), (0x67, sequence_parameters()), (0x68, picture_parameters()), (0x65, slice(picture))]
    {
        unit.extend([0, 0, 0, 1, kind]);
        unit.extend(escaped(&payload));
    }
    unit
}

/// Three bytes that would look like the start of something get a fourth.
fn escaped(payload: &[u8]) -> Vec<u8> {
    let (mut out, mut zeros) = (Vec::with_capacity(payload.len()), 0);
    for byte in payload {
        if zeros == 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

fn sequence_parameters() -> Vec<u8> {
    let mut bits = Bits::default();
    // The constrained baseline profile at level 1.
    for byte in [66, 0xc0, 10] {
        bits.put(byte, 8);
    }
    // Numbers: set 0, frame numbers of 4 bits, order as decoded, no reference pictures.
    for value in [0, 0, 2, 0] {
        bits.exp(value);
    }
    bits.put(0, 1);
    bits.exp(ACROSS - 1);
    bits.exp(DOWN - 1);
    // Whole frames, direct prediction, no cropping, no usability information.
    bits.put(0b1100, 4);
    bits.finished()
}

fn picture_parameters() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.exp(0);
    bits.exp(0);
    bits.put(0, 2);
    // One slice group, one reference picture in each list.
    for _ in 0..3 {
        bits.exp(0);
    }
    bits.put(0, 3);
    // Quantisers as they are, for chroma too.
    for _ in 0..3 {
        bits.exp(0);
    }
    bits.put(0, 3);
    bits.finished()
}

fn slice(picture: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.exp(0);
    bits.exp(7);
    bits.exp(0);
    bits.put(0, 4);
    // Neighbours differ in their number.
    bits.exp(picture % 2);
    bits.put(0, 2);
    bits.exp(0);
    for block in 0..ACROSS * DOWN {
        // Plain samples: light, then two of colour.
        bits.exp(25);
        bits.align();
        let left = (block % ACROSS) * 16;
        bits.bytes.extend((0..256).map(|at| light(left + at % 16, picture)));
        bits.bytes.extend([128; 128]);
    }
    bits.finished()
}

/// How light a column of a picture is.
fn light(column: u32, picture: u32) -> u8 {
    let bar = picture % (ACROSS * 16);
    if column.abs_diff(bar) < 4 { 235 } else { 90 }
}

/// Bits, the highest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = u8::from(value >> at & 1 == 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// A number as an Exp-Golomb code.
    fn exp(&mut self, value: u32) {
        let count = (value + 1).ilog2();
        self.put(0, count);
        self.put(value + 1, count + 1);
    }

    fn align(&mut self) {
        self.used = 0;
    }

    fn finished(mut self) -> Vec<u8> {
        self.put(1, 1);
        self.bytes
    }
}

/// Which program there is.
fn association() -> Vec<u8> {
    let [high, low] = PROGRAM.to_be_bytes();
    section(0, &[0, 1, 0xe0 | high, low])
}

/// What it is made of: one H.264 stream.
fn program() -> Vec<u8> {
    let [high, low] = VIDEO.to_be_bytes();
    section(2, &[0xe0 | high, low, 0xf0, 0, 0x1b, 0xe0 | high, low, 0xf0, 0])
}

fn section(table: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len() + 9).unwrap_or(u8::MAX);
    let mut bytes = vec![table, 0xb0, length, 0, 1, 0xc1, 0, 0];
    bytes.extend(payload);
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| {
            if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
        })
    });
    bytes.extend(sum.to_be_bytes());
    bytes
}

/// A transport stream: packets of 188 bytes.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    counter: u8,
}

impl Stream {
    fn table(&mut self, place: u16, section: &[u8]) {
        let [high, low] = place.to_be_bytes();
        self.bytes.extend([0x47, 0x40 | high, low, 0x10, 0]);
        self.bytes.extend(section);
        self.bytes.extend(vec![0xff; 183_usize.saturating_sub(section.len())]);
    }

    fn picture(&mut self, unit: &[u8], ticks: u64) {
        // The stream's header of a picture, with the moment at which it is shown.
        let mut rest = vec![0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5];
        rest.extend([
            0x21 | low_byte(ticks >> 29) & 0x0e,
            low_byte(ticks >> 22),
            1 | low_byte(ticks >> 14) & 0xfe,
            low_byte(ticks >> 7),
            1 | low_byte(ticks << 1) & 0xfe,
        ]);
        rest.extend(unit);
        // The clock, half a second before, and that decoding may begin here.
        let clock = ticks - 45_000;
        let mut extra = vec![0x50];
        extra.extend([25, 17, 9, 1].map(|shift| low_byte(clock >> shift)));
        extra.extend([low_byte(clock << 7) | 0x7e, 0]);
        let mut rest = rest.as_slice();
        let mut is_first = true;
        while !rest.is_empty() {
            let before = if is_first { extra.as_slice() } else { &[] };
            rest = self.packet(rest, before, is_first);
            is_first = false;
        }
    }

    /// Writes one packet, filled up before its payload, and answers what is left.
    fn packet<'p>(&mut self, payload: &'p [u8], extra: &[u8], is_first: bool) -> &'p [u8] {
        let [high, low] = VIDEO.to_be_bytes();
        let most = if extra.is_empty() { 184 } else { 183 - extra.len() };
        let (now, rest) = payload.split_at_checked(most).unwrap_or((payload, &[]));
        let field = 184 - now.len();
        let control = if field == 0 { 0x10 } else { 0x30 };
        let start = if is_first { 0x40 } else { 0 };
        self.bytes.extend([0x47, start | high, low, control | self.counter]);
        if field > 0 {
            self.bytes.push(u8::try_from(field - 1).unwrap_or(u8::MAX));
            let mut inside = if extra.is_empty() && field > 1 { vec![0] } else { extra.to_vec() };
            inside.resize(field - 1, 0xff);
            self.bytes.extend(inside);
        }
        self.bytes.extend(now);
        self.counter = (self.counter + 1) % 16;
        rest
    }
}

fn low_byte(value: u64) -> u8 {
    let [.., low] = value.to_be_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload of the video in a transport stream, and how often a picture begins.
    fn demuxed(stream: &[u8]) -> (Vec<u8>, usize) {
        let (mut payload, mut begins, mut counter) = (Vec::new(), 0, 0);
        assert_eq!(stream.len() % 188, 0);
        for packet in stream.chunks(188) {
            assert_eq!(packet[0], 0x47);
            let place = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
            if place != VIDEO {
                continue;
            }
            assert_eq!(packet[3] & 0x0f, counter, "no packet is missing");
            counter = (counter + 1) % 16;
            let from = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
            let is_first = packet[1] & 0x40 != 0;
            begins += usize::from(is_first);
            let header = if is_first { 14 } else { 0 };
            payload.extend(&packet[from + header..]);
        }
        (payload, begins)
    }

    #[test]
    fn a_segment_has_its_pictures_as_they_were_drawn() {
        let (payload, begins) = demuxed(&segment(1));
        assert_eq!(begins, usize::try_from(SECONDS * RATE).unwrap());
        let expected: Vec<u8> = (10..20).flat_map(access_unit).collect();
        assert_eq!(payload, expected);
        // Samples stand in a slice as they are: nothing of them looks like a start.
        let picture = slice(3);
        let light_rows =
            picture.windows(16).filter(|row| row[..7] == [235; 7] && row[7..] == [90; 9]).count();
        assert!(light_rows >= 16, "the bar stands at the left of the third picture");
        assert_eq!(escaped(&picture), picture);
    }

    #[test]
    fn numbers_and_sums_are_those_of_the_standards() {
        let mut bits = Bits::default();
        for value in [0, 1, 2, 25] {
            bits.exp(value);
        }
        // 1, 010, 011, 000011010 and the stop bit.
        assert_eq!(bits.finished(), [0b1010_0110, 0b0001_1010, 0b1000_0000]);
        assert_eq!(escaped(&[0, 0, 1, 0, 0, 0, 4]), [0, 0, 3, 1, 0, 0, 3, 0, 4]);
        // The sum over a table and its sum is nothing.
        let table = association();
        let rest = table.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ (u32::from(*byte) << 24), |sum, _| {
                if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 }
            })
        });
        assert_eq!(rest, 0);
        assert!(playlist().contains("#EXTINF:2.000000,\n5.ts\n#EXT-X-ENDLIST"));
    }
}
