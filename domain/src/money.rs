//! Money: an integer of minor units with an ISO 4217 currency. Never a float; every rounding is half-even, once, at the end.

use std::{fmt, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

/// An ISO 4217 currency that has minor units or none (`JPY`), but is not a metal or a test code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("currency `{0}` is not an ISO 4217 code such as USD")]
pub struct UnknownCurrency(pub String);

impl Currency {
    pub const USD: Self = Self(iso_currency::Currency::USD);

    /// Three upper-case letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for USD, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        iso_currency::Currency::from_code(text)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| UnknownCurrency(text.to_owned()))
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of minor units (cents) in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    pub amount_minor: i64,
    pub currency: Currency,
}

/// Why a decimal text is no amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    #[error("amount `{0}` is not a decimal number such as 49.00")]
    NotADecimal(String),
    #[error("amount `{amount}` has more than the {digits} decimal digits of {currency}")]
    TooPrecise { amount: String, digits: u32, currency: Currency },
    #[error("amount `{0}` is too large")]
    TooLarge(String),
}

impl Money {
    pub fn new(amount_minor: i64, currency: Currency) -> Self {
        Self { amount_minor, currency }
    }

    /// Reads a decimal in major units, such as `49.00`.
    ///
    /// # Errors
    /// Refuses more digits than the currency has, since rounding on the way in would lose money.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, InvalidAmount> {
        let decimal = Decimal::from_str_exact(amount).map_err(|_| InvalidAmount::NotADecimal(amount.to_owned()))?;
        let digits = currency.exponent();
        let scaled = decimal.checked_mul(Decimal::from(10_i64.pow(digits))).ok_or_else(|| InvalidAmount::TooLarge(amount.to_owned()))?;
        if !scaled.fract().is_zero() {
            return Err(InvalidAmount::TooPrecise { amount: amount.to_owned(), digits, currency });
        }
        let amount_minor = scaled.to_i64().ok_or_else(|| InvalidAmount::TooLarge(amount.to_owned()))?;
        Ok(Self { amount_minor, currency })
    }

    /// The amount in major units, with all digits of the currency: `49.00`.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.amount_minor, self.currency.exponent())
    }
}

/// `$1,234.50` for the currencies with a familiar sign, `1,234.50 CHF` for the others; a minus sign comes first.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let digits = self.to_decimal().abs().to_string();
        let (whole, fraction) = digits.split_once('.').map_or((digits.as_str(), ""), |(w, f)| (w, f));
        let whole = group_thousands(whole);
        let point = if fraction.is_empty() { "" } else { "." };
        let prefix = match self.currency.code() {
            "USD" => "$",
            "EUR" => "€",
            "GBP" => "£",
            "JPY" => "¥",
            code => return write!(f, "{sign}{whole}{point}{fraction} {code}"),
        };
        write!(f, "{sign}{prefix}{whole}{point}{fraction}")
    }
}

/// `1234567` as `1,234,567`.
pub fn group_thousands(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Rounds an exact number of minor units half-even to a whole one; `None` if it does not fit.
pub fn round_minor(exact: Decimal) -> Option<i64> {
    exact.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven).to_i64()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_by_the_digits_of_their_currency() {
        let parse = |amount: &str, code: &str| Money::parse(amount, code.parse().unwrap()).map(|money| money.amount_minor);
        assert_eq!(parse("49.00", "USD"), Ok(4900));
        assert_eq!(parse("49", "JPY"), Ok(49));
        assert_eq!(parse("1.234", "KWD"), Ok(1234));
        assert!(matches!(parse("1.5", "JPY"), Err(InvalidAmount::TooPrecise { digits: 0, .. })));
        assert!(matches!(parse("4,9", "USD"), Err(InvalidAmount::NotADecimal(_))));
        assert!(matches!(parse("1e3", "USD"), Err(InvalidAmount::NotADecimal(_))));
        assert!(matches!(parse("99999999999999999999", "USD"), Err(InvalidAmount::TooLarge(_))));
    }

    #[test]
    fn an_unknown_currency_is_named() {
        assert_eq!("usd".parse::<Currency>(), Err(UnknownCurrency("usd".into())));
        assert_eq!("XAU".parse::<Currency>(), Err(UnknownCurrency("XAU".into())));
    }

    #[test]
    fn money_reads_as_people_write_it() {
        assert_eq!(Money::new(-123_450, Currency::USD).to_string(), "-$1,234.50");
        assert_eq!(Money::new(5, "CHF".parse().unwrap()).to_string(), "0.05 CHF");
        assert_eq!(Money::new(1_000_000, "JPY".parse().unwrap()).to_string(), "¥1,000,000");
    }

    #[test]
    fn halves_round_to_the_even_neighbour() {
        let round = |text: &str| round_minor(text.parse().unwrap());
        assert_eq!([round("0.5"), round("1.5"), round("2.5"), round("-0.5"), round("2.51")], [Some(0), Some(2), Some(2), Some(0), Some(3)]);
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(amount_minor in -1_000_000_000_000_i64..1_000_000_000_000, code in prop::sample::select(vec!["USD", "JPY", "KWD"])) {
            let money = Money::new(amount_minor, code.parse().unwrap());
            prop_assert_eq!(Money::parse(&money.to_decimal().to_string(), money.currency), Ok(money));
        }
    }
}
