//! What an account is called outside: in classes that accountants and their programs know. Two accounts never share a
//! name, and an account keeps its name from one export to the next.

use farthing_ledger::{Account, AccountKind};
use sha2::{Digest, Sha256};

use super::Merchants;

/// Digits of the name's hash that set apart what would else look alike.
const MARK_CHARS: usize = 8;

/// `credits:01ab` is `Liabilities:Customers:Credits:01ab`.
pub(super) fn exported_name(account: &Account, merchants: Merchants) -> String {
    let (class, rest) = match account.name.split_once(':') {
        Some(("merchant", rest)) => match merchants {
            Merchants::Income => ("Income:Sales", rest),
            Merchants::Owed => ("Liabilities:Merchants", rest),
        },
        Some(("credits", _)) => ("Liabilities:Customers", account.name.as_str()),
        _ if account.name == "codes" => ("Liabilities:Customers", account.name.as_str()),
        _ => (class(account.kind), account.name.as_str()),
    };
    let parts: Vec<&str> = rest.split(':').collect();
    let exact = parts.iter().all(|part| is_plain(part));
    let mut name = class.to_owned();
    for part in parts {
        name.push(':');
        name.push_str(&component(part));
    }
    if !exact {
        name.push('-');
        // Of the name alone: accounts of one name are one account outside, with several assets.
        name.extend(hex::encode(Sha256::digest(&account.name)).chars().take(MARK_CHARS));
    }
    name
}

const fn class(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Asset => "Assets",
        AccountKind::Liability => "Liabilities",
        AccountKind::Equity => "Equity",
        AccountKind::Income => "Income",
        AccountKind::Expense => "Expenses",
    }
}

/// Whether nothing is lost when its first letter becomes a capital.
fn is_plain(part: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && !part.starts_with('-') && part.bytes().all(good)
}

/// Letters, digits and dashes, a capital or a digit first: what beancount takes, and hledger too.
fn component(part: &str) -> String {
    let mut text: String =
        part.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        text.insert(0, 'X');
    }
    text.get_mut(..1).into_iter().for_each(str::make_ascii_uppercase);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use farthing_ledger::Limit;
    use farthing_money::Asset;
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str, kind: AccountKind) -> String {
        let account = Account::new(name, Asset::micro("USD").unwrap(), kind, Limit::None);
        exported_name(&account, Merchants::Income)
    }

    #[test]
    fn accounts_stand_where_an_accountant_looks_for_them() {
        use AccountKind::{Asset, Expense, Income, Liability};
        for (name, kind, expected) in [
            ("codes-sold", Asset, "Assets:Codes-sold"),
            ("codes", Liability, "Liabilities:Customers:Codes"),
            ("credits:01ab", Liability, "Liabilities:Customers:Credits:01ab"),
            ("clearing", Liability, "Liabilities:Clearing"),
            ("merchant:demo", Liability, "Income:Sales:Demo"),
            ("fees", Income, "Income:Fees"),
            ("test-funding", Expense, "Expenses:Test-funding"),
            ("own:bank", Asset, "Assets:Own:Bank"),
        ] {
            assert_eq!(named(name, kind), expected);
        }
        let merchant = Account::new(
            "merchant:demo",
            farthing_money::Asset::micro("USD").unwrap(),
            Liability,
            Limit::None,
        );
        assert_eq!(exported_name(&merchant, Merchants::Owed), "Liabilities:Merchants:Demo");
    }

    #[test]
    fn what_is_lost_is_marked() {
        let names: BTreeSet<String> = ["my.shop", "my_shop", "my-shop", "-my-shop", ".my-shop"]
            .map(|name| named(&format!("merchant:{name}"), AccountKind::Liability))
            .into();
        assert_eq!(names.len(), 5, "{names:?}");
        assert!(names.contains("Income:Sales:My-shop"), "{names:?}");
    }

    /// The mark was made of the account's id, which names the asset: a merchant had one account for each.
    #[test]
    fn accounts_of_one_name_are_one_account_with_several_assets() {
        let sat = Asset::new("SAT", 0, "sat").unwrap();
        let sat = Account::new("merchant:my_shop", sat, AccountKind::Liability, Limit::None);
        assert_eq!(exported_name(&sat, Merchants::Income), named("merchant:my_shop", AccountKind::Liability));
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_beancount_takes(name in "[a-z0-9._:-]{1,40}") {
            let exported = named(&name, AccountKind::Asset);
            for part in exported.split(':') {
                prop_assert!(part.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()), "{}", exported);
                prop_assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{}", exported);
            }
        }
    }
}
