//! Numbers modulo the order of secp256k1, as they travel: the halves of an equality proof, a blinding factor.

use farthing_money::byte_id;

byte_id!(
    /// 32 bytes that stand for a number modulo the curve's order, most significant byte first.
    ///
    /// Not checked when read: a number outside the range simply verifies nothing.
    Scalar,
    32
);

/// The remainder of 32 bytes modulo the curve's order (which is above 2^255, so one subtraction is enough).
pub(crate) fn reduce(mut bytes: [u8; 32]) -> [u8; 32] {
    if secp256k1::Scalar::from_be_bytes(bytes).is_ok() {
        return bytes;
    }
    let mut borrow = false;
    for (byte, order) in bytes.iter_mut().zip(secp256k1::constants::CURVE_ORDER).rev() {
        let (difference, under_1) = byte.overflowing_sub(order);
        let (difference, under_2) = difference.overflowing_sub(u8::from(borrow));
        *byte = difference;
        borrow = under_1 || under_2;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use secp256k1::constants::CURVE_ORDER;

    use super::*;

    #[test]
    fn only_numbers_beyond_the_order_are_reduced() {
        assert_eq!(reduce(CURVE_ORDER), [0; 32]);
        let mut order_and_one = CURVE_ORDER;
        order_and_one[31] += 1;
        assert_eq!(reduce(order_and_one)[31], 1);
        assert_eq!(reduce([0xff; 32])[31], 0xff - CURVE_ORDER[31]);
        assert_eq!(reduce([0x7f; 32]), [0x7f; 32]);
    }
}
