//! Reading files row by row, with errors that name the file, the line and the field.

use std::{fs::File, io::Read, path::Path, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use rust_decimal::{Decimal, prelude::ToPrimitive};

/// Input that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("{file}: {source}")]
    File { file: String, source: std::io::Error },
    #[error("{file}:{line}: {source}")]
    Row { file: String, line: u64, source: csv::Error },
    #[error("{file}:{line}: {what}")]
    Line { file: String, line: u64, what: String },
    #[error("{file}:{line}: field `{field}`: {what}")]
    Field { file: String, line: u64, field: String, what: String },
    #[error("{file}: {what}")]
    Whole { file: String, what: String },
}

/// Opens a file; one whose name ends in `.gz` is unpacked.
pub fn open(path: &Path) -> Result<Box<dyn Read>, Malformed> {
    let file = File::open(path).map_err(|source| Malformed::File { file: path.display().to_string(), source })?;
    if path.extension().is_some_and(|extension| extension == "gz") { Ok(Box::new(MultiGzDecoder::new(file))) } else { Ok(Box::new(file)) }
}

/// A CSV file with a header, whose columns may be in any order.
pub struct Table {
    file: String,
    reader: csv::Reader<Box<dyn Read>>,
    columns: Vec<(&'static str, usize)>,
}

impl Table {
    /// Opens a file that has all `columns`; others are not read, which is noted on standard error.
    pub fn open(path: &Path, columns: &[&'static str]) -> Result<Self, Malformed> {
        let file = path.display().to_string();
        let mut reader = csv::Reader::from_reader(open(path)?);
        let header = reader.headers().map_err(|source| row_error(&file, source))?;
        let place = |column: &'static str| {
            let missing = || format!("the column is not in the header `{}`", header.iter().collect::<Vec<_>>().join(","));
            let found = header.iter().position(|name| name == column);
            found.map(|place| (column, place)).ok_or_else(|| Malformed::Field {
                file: file.clone(),
                line: 1,
                field: column.to_owned(),
                what: missing(),
            })
        };
        let columns = columns.iter().map(|column| place(column)).collect::<Result<Vec<_>, _>>()?;
        for (place, name) in header.iter().enumerate() {
            if columns.iter().all(|(_, used)| *used != place) {
                eprintln!("note: {file}: column `{name}` is not read");
            }
        }
        Ok(Self { file, reader, columns })
    }

    /// Hands every row to `take`, and returns their number.
    pub fn for_each(&mut self, mut take: impl FnMut(&Row) -> Result<(), Malformed>) -> Result<usize, Malformed> {
        let mut record = StringRecord::new();
        let mut rows = 0;
        while self.reader.read_record(&mut record).map_err(|source| row_error(&self.file, source))? {
            take(&Row { file: &self.file, columns: &self.columns, record: &record })?;
            rows += 1;
        }
        Ok(rows)
    }
}

fn row_error(file: &str, source: csv::Error) -> Malformed {
    let line = source.position().map_or(1, csv::Position::line);
    Malformed::Row { file: file.to_owned(), line, source }
}

pub struct Row<'t> {
    file: &'t str,
    columns: &'t [(&'static str, usize)],
    record: &'t StringRecord,
}

impl Row<'_> {
    /// The text of a field, which may be empty.
    pub fn text(&self, field: &str) -> &str {
        let column = self.columns.iter().find(|(name, _)| *name == field);
        column.and_then(|(_, place)| self.record.get(*place)).expect("a row has every column that its table was opened with")
    }

    /// The text of a field, `None` if it is empty.
    pub fn optional(&self, field: &str) -> Option<String> {
        Some(self.text(field).to_owned()).filter(|text| !text.is_empty())
    }

    /// # Errors
    /// [`Malformed::Field`] if it is empty.
    pub fn required(&self, field: &str) -> Result<String, Malformed> {
        self.optional(field).ok_or_else(|| self.wrong(field, "is empty, expected a text"))
    }

    /// # Errors
    /// [`Malformed::Field`] if the text does not parse; `expected` says as what.
    pub fn parsed<T: FromStr>(&self, field: &str, expected: &str) -> Result<T, Malformed> {
        self.text(field).parse().map_err(|_| self.wrong(field, &format!("`{}` is not {expected}", self.text(field))))
    }

    /// A decimal number; `1e3` is one too.
    pub fn decimal(&self, field: &str) -> Result<Decimal, Malformed> {
        let text = self.text(field);
        decimal(text).ok_or_else(|| self.wrong(field, &format!("`{text}` is not a decimal number")))
    }

    /// Seconds since 1970, with up to 9 digits after the point.
    pub fn time(&self, field: &str) -> Result<DateTime<Utc>, Malformed> {
        let text = self.text(field);
        let time = decimal(text).and_then(seconds).and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since));
        time.ok_or_else(|| self.wrong(field, &format!("`{text}` is not a time in seconds since 1970")))
    }

    pub fn wrong(&self, field: &str, what: &str) -> Malformed {
        let line = self.record.position().map_or(0, csv::Position::line);
        Malformed::Field { file: self.file.to_owned(), line, field: field.to_owned(), what: what.to_owned() }
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// `None` if there are more than 9 digits after the point, or too many before it.
pub fn seconds(seconds: Decimal) -> Option<TimeDelta> {
    let whole = seconds.floor();
    let nanoseconds = (seconds - whole) * Decimal::from(1_000_000_000);
    if !nanoseconds.fract().is_zero() {
        return None;
    }
    TimeDelta::new(whole.to_i64()?, nanoseconds.to_u32()?)
}

/// A decimal number of a JSON document.
pub fn json_decimal(value: &serde_json::Value) -> Option<Decimal> {
    value.as_number().and_then(|number| decimal(&number.to_string()))
}
