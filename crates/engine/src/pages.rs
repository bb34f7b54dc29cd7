//! Rows that are read a page at a time, so that no table has to fit into memory.

use crate::Fault;

/// Rows with their keys, in the order of these.
type Page<K, R> = Vec<(K, R)>;

/// The pages of a table from its beginning, each of at most `limit` rows. `read` says what comes after a key, as the tables of
/// [`Read`](crate::Read) do. What is added or removed meanwhile behind the last key that was seen is seen, or not, as it is then.
pub fn pages<K: Copy, R>(
    limit: usize,
    mut read: impl FnMut(Option<K>, usize) -> Result<Page<K, R>, Fault>,
) -> impl Iterator<Item = Result<Page<K, R>, Fault>> {
    let mut after = None;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let page = match read(after, limit) {
            Ok(page) => page,
            Err(fault) => {
                failed = true;
                return Some(Err(fault));
            }
        };
        after = Some(page.last()?.0);
        Some(Ok(page))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FaultKind;

    fn table(after: Option<u32>, limit: usize) -> Page<u32, char> {
        let rows = [(1, 'a'), (2, 'b'), (5, 'c'), (7, 'd'), (9, 'e')];
        rows.into_iter().filter(|(key, _)| after.is_none_or(|after| *key > after)).take(limit).collect()
    }

    #[test]
    fn every_row_comes_once_and_in_its_place() {
        for limit in 1..7 {
            let read: Vec<_> =
                pages(limit, |after, limit| Ok(table(after, limit))).map(Result::unwrap).collect();
            assert!(read.iter().all(|page| !page.is_empty() && page.len() <= limit));
            let rows: Vec<_> = read.into_iter().flatten().map(|(_, row)| row).collect();
            assert_eq!(rows, ['a', 'b', 'c', 'd', 'e']);
        }
    }

    #[test]
    fn nothing_comes_after_a_failure() {
        let broken = |after: Option<u32>, limit| match after {
            Some(2) => Err(Fault::new(FaultKind::Disk, "gone")),
            after => Ok(table(after, limit)),
        };
        let read: Vec<_> = pages(2, broken).map(|page| page.is_ok()).collect();
        assert_eq!(read, [true, false]);
    }
}
