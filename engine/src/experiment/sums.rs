//! Sums over the exposed units of a variant, from which all results are computed: whoever changes a unit adds the difference.
//!
//! They are exact integers, so that no order of the changes and no number of them moves a result.

use std::ops::AddAssign;

use chrono::NaiveDate;
use domain::ExperimentId;
use sqlx::PgConnection;

use crate::Result;

/// Where a sum belongs. `shard` spreads writers over rows; readers sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub experiment_id: ExperimentId,
    pub phase: i32,
    /// In which its units were first exposed.
    pub period: i32,
    pub variant: i16,
    /// On which the change happened.
    pub day: NaiveDate,
}

/// What came of one exposed unit so far; amounts in minor units of the test's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The covariate x: counted clicks in the 28 days before the exposure.
    pub clicks_before: i32,
    pub clicks: i32,
    pub conversions: i32,
    pub successes: i32,
    pub commission_minor: i64,
}

/// Sums over units, or the change of such sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub exposures: i64,
    /// Units with at least one click, conversion, success.
    pub clicked: i64,
    pub converted: i64,
    pub succeeded: i64,
    pub clicks: i64,
    pub clicks_squares: i128,
    pub conversions: i64,
    pub commission_minor: i64,
    pub commission_squares: i128,
    pub x: i128,
    pub x_squares: i128,
    pub x_clicked: i128,
    pub x_converted: i128,
    pub x_succeeded: i128,
    pub x_clicks: i128,
    pub x_commission: i128,
}

impl Unit {
    /// The sums over this unit alone.
    pub fn sums(&self) -> Sums {
        let has = |count: i32| i64::from(count > 0);
        let (x, clicks, commission) = (i128::from(self.clicks_before), i128::from(self.clicks), i128::from(self.commission_minor));
        Sums {
            exposures: 1,
            clicked: has(self.clicks),
            converted: has(self.conversions),
            succeeded: has(self.successes),
            clicks: self.clicks.into(),
            clicks_squares: clicks * clicks,
            conversions: self.conversions.into(),
            commission_minor: self.commission_minor,
            commission_squares: commission * commission,
            x,
            x_squares: x * x,
            x_clicked: x * i128::from(has(self.clicks)),
            x_converted: x * i128::from(has(self.conversions)),
            x_succeeded: x * i128::from(has(self.successes)),
            x_clicks: x * clicks,
            x_commission: x * commission,
        }
    }

    /// What the sums change by when this unit becomes `after`.
    pub fn change_to(&self, after: &Self) -> Sums {
        let mut change = after.sums();
        change.add(&self.sums(), -1);
        change
    }
}

impl Sums {
    fn add(&mut self, other: &Self, sign: i64) {
        let wide = i128::from(sign);
        self.exposures += sign * other.exposures;
        self.clicked += sign * other.clicked;
        self.converted += sign * other.converted;
        self.succeeded += sign * other.succeeded;
        self.clicks += sign * other.clicks;
        self.clicks_squares += wide * other.clicks_squares;
        self.conversions += sign * other.conversions;
        self.commission_minor += sign * other.commission_minor;
        self.commission_squares += wide * other.commission_squares;
        self.x += wide * other.x;
        self.x_squares += wide * other.x_squares;
        self.x_clicked += wide * other.x_clicked;
        self.x_converted += wide * other.x_converted;
        self.x_succeeded += wide * other.x_succeeded;
        self.x_clicks += wide * other.x_clicks;
        self.x_commission += wide * other.x_commission;
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.add(&other, 1);
    }
}

/// Adds a change to what is there. Squares and products go as text, since they may be wider than any type of the driver's.
pub(crate) async fn add(tx: &mut PgConnection, place: &Place, shard: i16, sums: &Sums) -> Result<()> {
    sqlx::query!(
        "insert into experiment_sums as s (experiment_id, phase, period, variant, day, shard, exposures, clicked, converted, succeeded, clicks,
                                           conversions, commission_minor, clicks_squares, commission_squares, x, x_squares, x_clicked,
                                           x_converted, x_succeeded, x_clicks, x_commission)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::text::numeric, $15::text::numeric, $16::text::numeric,
                 $17::text::numeric, $18::text::numeric, $19::text::numeric, $20::text::numeric, $21::text::numeric, $22::text::numeric)
         on conflict (experiment_id, phase, period, variant, day, shard) do update
         set exposures = s.exposures + excluded.exposures,
             clicked = s.clicked + excluded.clicked,
             converted = s.converted + excluded.converted,
             succeeded = s.succeeded + excluded.succeeded,
             clicks = s.clicks + excluded.clicks,
             conversions = s.conversions + excluded.conversions,
             commission_minor = s.commission_minor + excluded.commission_minor,
             clicks_squares = s.clicks_squares + excluded.clicks_squares,
             commission_squares = s.commission_squares + excluded.commission_squares,
             x = s.x + excluded.x,
             x_squares = s.x_squares + excluded.x_squares,
             x_clicked = s.x_clicked + excluded.x_clicked,
             x_converted = s.x_converted + excluded.x_converted,
             x_succeeded = s.x_succeeded + excluded.x_succeeded,
             x_clicks = s.x_clicks + excluded.x_clicks,
             x_commission = s.x_commission + excluded.x_commission",
        place.experiment_id.0,
        place.phase,
        place.period,
        place.variant,
        place.day,
        shard,
        sums.exposures,
        sums.clicked,
        sums.converted,
        sums.succeeded,
        sums.clicks,
        sums.conversions,
        sums.commission_minor,
        sums.clicks_squares.to_string(),
        sums.commission_squares.to_string(),
        sums.x.to_string(),
        sums.x_squares.to_string(),
        sums.x_clicked.to_string(),
        sums.x_converted.to_string(),
        sums.x_succeeded.to_string(),
        sums.x_clicks.to_string(),
        sums.x_commission.to_string(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_changes_and_changes_back_leaves_no_trace() {
        let before = Unit { clicks_before: 3, clicks: 1, ..Unit::default() };
        let after = Unit { clicks: 4, conversions: 2, successes: 1, commission_minor: 1_250, ..before };
        let mut sums = before.change_to(&after);
        assert_eq!((sums.exposures, sums.clicked, sums.converted, sums.succeeded), (0, 0, 1, 1));
        assert_eq!((sums.clicks, sums.clicks_squares, sums.x_clicks), (3, 15, 9));
        assert_eq!((sums.commission_squares, sums.x_commission, sums.x, sums.x_squares), (1_562_500, 3_750, 0, 0));
        sums += after.change_to(&before);
        assert_eq!(sums, Sums::default());
    }

    #[test]
    fn the_largest_commission_has_a_square() {
        let unit = Unit { commission_minor: i64::MAX, ..Unit::default() };
        assert_eq!(unit.sums().commission_squares, i128::from(i64::MAX).pow(2));
    }
}
