//! Who belongs to whom, so that the sum of all costs is least.

/// For each row its column, no column twice; there must be at least as many columns as rows. (The Hungarian method, with
/// potentials, row by row.)
pub fn cheapest(costs: &[Vec<f64>]) -> Vec<usize> {
    let columns = costs.first().map_or(0, Vec::len);
    // Column 0 is where a new row begins its search.
    let mut row_of = vec![None; columns + 1];
    let (mut row_price, mut column_price) = (vec![0.0; costs.len()], vec![0.0; columns + 1]);
    for new in 0..costs.len() {
        row_of[0] = Some(new);
        let mut here = 0;
        let (mut least, mut came_from) = (vec![f64::INFINITY; columns + 1], vec![0; columns + 1]);
        let mut seen = vec![false; columns + 1];
        while let Some(row) = row_of[here] {
            seen[here] = true;
            let (mut step, mut next) = (f64::INFINITY, 0);
            for column in (1..=columns).filter(|column| !seen[*column]) {
                let cost = costs[row][column - 1] - row_price[row] - column_price[column];
                if cost < least[column] {
                    (least[column], came_from[column]) = (cost, here);
                }
                if least[column] < step {
                    (step, next) = (least[column], column);
                }
            }
            for column in 0..=columns {
                if seen[column] {
                    if let Some(row) = row_of[column] {
                        row_price[row] += step;
                    }
                    column_price[column] -= step;
                } else {
                    least[column] -= step;
                }
            }
            here = next;
        }
        while here != 0 {
            row_of[here] = row_of[came_from[here]];
            here = came_from[here];
        }
    }
    let mut column_of = vec![0; costs.len()];
    for (column, row) in row_of.iter().enumerate().skip(1) {
        if let Some(row) = row {
            column_of[*row] = column - 1;
        }
    }
    column_of
}

#[cfg(test)]
mod tests {
    use super::super::chance::Chance;
    use super::*;

    fn sum(costs: &[Vec<f64>], columns: &[usize]) -> f64 {
        columns.iter().enumerate().map(|(row, column)| costs[row][*column]).sum()
    }

    #[test]
    fn no_order_of_five_is_cheaper() {
        let mut chance = Chance::of(1);
        for _ in 0..50 {
            let mut cost = || f64::from(u32::try_from(chance.below(100)).unwrap());
            let costs: Vec<Vec<f64>> = (0..5).map(|_| (0..6).map(|_| cost()).collect()).collect();
            let found = cheapest(&costs);
            let mut distinct = found.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 5);
            let mut best = f64::INFINITY;
            for code in 0..6_usize.pow(5) {
                let columns: Vec<usize> = (0..5).map(|place| code / 6_usize.pow(place) % 6).collect();
                let mut once = columns.clone();
                once.sort_unstable();
                once.dedup();
                if once.len() == 5 {
                    best = best.min(sum(&costs, &columns));
                }
            }
            assert!((sum(&costs, &found) - best).abs() < 1e-9);
        }
    }
}
