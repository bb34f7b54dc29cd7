//! The currencies of ISO 4217 and the decimals of their minor units, in one table for all who need them.
//!
//! It has the codes of the standard's list one up to amendment 180 (January 2026): those of currencies, and those of funds
//! that a bank account can be in (BOV, CHE, CHW, CLF, COU, MXV, UYI, UYW). It leaves out what no customer has an account in:
//! the next-day dollar (USN), the units of account of institutions (XAD, XBA to XBD, XDR, XSU, XUA), metals (XAG, XAU, XPD,
//! XPT), and the codes for tests and for no currency (XTS, XXX). Withdrawn codes, such as BGN and HRK, are no longer here.

/// Code and decimals, by code.
const ACTIVE: [(&str, u8); 163] = [
    ("AED", 2),
    ("AFN", 2),
    ("ALL", 2),
    ("AMD", 2),
    ("AOA", 2),
    ("ARS", 2),
    ("AUD", 2),
    ("AWG", 2),
    ("AZN", 2),
    ("BAM", 2),
    ("BBD", 2),
    ("BDT", 2),
    ("BHD", 3),
    ("BIF", 0),
    ("BMD", 2),
    ("BND", 2),
    ("BOB", 2),
    ("BOV", 2),
    ("BRL", 2),
    ("BSD", 2),
    ("BTN", 2),
    ("BWP", 2),
    ("BYN", 2),
    ("BZD", 2),
    ("CAD", 2),
    ("CDF", 2),
    ("CHE", 2),
    ("CHF", 2),
    ("CHW", 2),
    ("CLF", 4),
    ("CLP", 0),
    ("CNY", 2),
    ("COP", 2),
    ("COU", 2),
    ("CRC", 2),
    ("CUP", 2),
    ("CVE", 2),
    ("CZK", 2),
    ("DJF", 0),
    ("DKK", 2),
    ("DOP", 2),
    ("DZD", 2),
    ("EGP", 2),
    ("ERN", 2),
    ("ETB", 2),
    ("EUR", 2),
    ("FJD", 2),
    ("FKP", 2),
    ("GBP", 2),
    ("GEL", 2),
    ("GHS", 2),
    ("GIP", 2),
    ("GMD", 2),
    ("GNF", 0),
    ("GTQ", 2),
    ("GYD", 2),
    ("HKD", 2),
    ("HNL", 2),
    ("HTG", 2),
    ("HUF", 2),
    ("IDR", 2),
    ("ILS", 2),
    ("INR", 2),
    ("IQD", 3),
    ("IRR", 2),
    ("ISK", 0),
    ("JMD", 2),
    ("JOD", 3),
    ("JPY", 0),
    ("KES", 2),
    ("KGS", 2),
    ("KHR", 2),
    ("KMF", 0),
    ("KPW", 2),
    ("KRW", 0),
    ("KWD", 3),
    ("KYD", 2),
    ("KZT", 2),
    ("LAK", 2),
    ("LBP", 2),
    ("LKR", 2),
    ("LRD", 2),
    ("LSL", 2),
    ("LYD", 3),
    ("MAD", 2),
    ("MDL", 2),
    ("MGA", 2),
    ("MKD", 2),
    ("MMK", 2),
    ("MNT", 2),
    ("MOP", 2),
    ("MRU", 2),
    ("MUR", 2),
    ("MVR", 2),
    ("MWK", 2),
    ("MXN", 2),
    ("MXV", 2),
    ("MYR", 2),
    ("MZN", 2),
    ("NAD", 2),
    ("NGN", 2),
    ("NIO", 2),
    ("NOK", 2),
    ("NPR", 2),
    ("NZD", 2),
    ("OMR", 3),
    ("PAB", 2),
    ("PEN", 2),
    ("PGK", 2),
    ("PHP", 2),
    ("PKR", 2),
    ("PLN", 2),
    ("PYG", 0),
    ("QAR", 2),
    ("RON", 2),
    ("RSD", 2),
    ("RUB", 2),
    ("RWF", 0),
    ("SAR", 2),
    ("SBD", 2),
    ("SCR", 2),
    ("SDG", 2),
    ("SEK", 2),
    ("SGD", 2),
    ("SHP", 2),
    ("SLE", 2),
    ("SOS", 2),
    ("SRD", 2),
    ("SSP", 2),
    ("STN", 2),
    ("SVC", 2),
    ("SYP", 2),
    ("SZL", 2),
    ("THB", 2),
    ("TJS", 2),
    ("TMT", 2),
    ("TND", 3),
    ("TOP", 2),
    ("TRY", 2),
    ("TTD", 2),
    ("TWD", 2),
    ("TZS", 2),
    ("UAH", 2),
    ("UGX", 0),
    ("USD", 2),
    ("UYI", 0),
    ("UYU", 2),
    ("UYW", 4),
    ("UZS", 2),
    ("VED", 2),
    ("VES", 2),
    ("VND", 0),
    ("VUV", 0),
    ("WST", 2),
    ("XAF", 0),
    ("XCD", 2),
    ("XCG", 2),
    ("XOF", 0),
    ("XPF", 0),
    ("YER", 2),
    ("ZAR", 2),
    ("ZMW", 2),
    ("ZWG", 2),
];

/// The decimals of a currency's minor unit by ISO 4217; nothing for what is not the upper-case code of an active currency.
pub fn iso_scale(code: &str) -> Option<u8> {
    let at = ACTIVE.binary_search_by(|(known, _)| (*known).cmp(code)).ok()?;
    ACTIVE.get(at).map(|(_, scale)| *scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Asset, AssetError};

    #[test]
    fn codes_are_in_order_and_there_once() {
        for pair in ACTIVE.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
        for (code, scale) in ACTIVE {
            assert!(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
            assert_eq!(iso_scale(code), Some(scale), "{code}");
        }
    }

    #[test]
    fn those_without_cents_are_known_by_name() {
        let of = |wanted: u8| {
            let found = ACTIVE.iter().filter(|(_, scale)| *scale == wanted).map(|(code, _)| *code);
            found.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(0), "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF");
        assert_eq!(of(3), "BHD IQD JOD KWD LYD OMR TND");
        assert_eq!(of(4), "CLF UYW");
        assert!(ACTIVE.iter().all(|(_, scale)| [0, 2, 3, 4].contains(scale)));
    }

    #[test]
    fn codes_come_and_go() {
        for code in ["BDT", "GHS", "LKR", "MGA", "MRU", "SLE", "VED", "VES", "XCG", "ZWG"] {
            assert_eq!(iso_scale(code), Some(2), "{code}");
        }
        let withdrawn = ["ANG", "BGN", "CUC", "HRK", "SLL", "ZWL"];
        let without_accounts = ["USN", "XAD", "XAU", "XDR", "XTS", "XXX"];
        for code in withdrawn.into_iter().chain(without_accounts).chain(["", "usd", "USDC", "SAT"]) {
            assert_eq!(iso_scale(code), None, "{code}");
        }
    }

    #[test]
    fn every_unit_that_is_a_code_keeps_its_scale() {
        for (code, scale) in ACTIVE {
            let unit = code.to_ascii_lowercase();
            assert!(Asset::new(code, scale, &unit).is_ok(), "{code}");
            let finer = Asset::new(code, 6, &unit);
            assert!(
                matches!(finer, Err(AssetError::IsoScale { expected, got: 6, .. }) if expected == scale),
                "{finer:?}"
            );
            assert!(Asset::micro(code).is_ok(), "{code}");
        }
    }
}
