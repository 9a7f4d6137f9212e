//! A CSV file as headers and rows, whoever wrote it: comma, semicolon or tab, with or without a byte order mark.

use std::collections::HashSet;

use csv::StringRecord;

/// Rows of one file: more are split by whoever exports them.
pub const ROWS_MAX: usize = 100_000;
pub const COLUMNS_MAX: usize = 200;
/// 64 MiB: 100 000 rows of 670 bytes.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;

/// A file, read but not understood yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub delimiter: char,
    /// Trimmed and distinct; a column without a name is called `column 3`.
    pub headers: Vec<String>,
    /// Without the rows whose cells are all empty.
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where the row begins in the file, from 1.
    pub line: u64,
    cells: StringRecord,
}

/// Why a file is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TableError {
    /// From 1.
    pub line: u64,
    pub reason: String,
}

fn refused<T>(line: u64, reason: impl Into<String>) -> Result<T, TableError> {
    Err(TableError { line, reason: reason.into() })
}

impl Row {
    /// The trimmed cell of a column; empty where the row is shorter.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).unwrap_or_default()
    }

    /// How many cells the row has, which is the number of headers in a sound file.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Never true of the rows of a [`Table`].
    pub fn is_empty(&self) -> bool {
        self.cells.iter().all(str::is_empty)
    }

    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.cells.iter()
    }
}

impl Table {
    /// Reads a file. The delimiter is the one of `,`, `;` and tab that the header has most of.
    ///
    /// # Errors
    /// Text that is not UTF-8, a quote that is never closed, a header twice, and a file beyond the limits. A row that is too long or too
    /// short is no error here: it is one of its own when rows are read, so that it hides no other.
    pub fn read(bytes: &[u8]) -> Result<Self, TableError> {
        if bytes.len() > BYTES_MAX {
            return refused(1, format!("the file has {} bytes, expected at most {BYTES_MAX}", bytes.len()));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).or_else(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() as u64;
            refused(line, "is not UTF-8, expected a file saved as `CSV UTF-8`")
        })?;
        let delimiter = detect_delimiter(text);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        let mut records = reader.records();
        let Some(Ok(header)) = records.next() else { return refused(1, "the file is empty, expected a line of column names") };
        let headers = name_columns(&header, line_of(text, header.position()))?;

        let mut rows = Vec::new();
        for record in records {
            let cells = record.or_else(|error| refused(error.position().map_or(0, csv::Position::line), error.to_string()))?;
            let row = Row { line: line_of(text, cells.position()), cells };
            if row.is_empty() {
                continue;
            }
            if rows.len() == ROWS_MAX {
                return refused(row.line, format!("the file has more than {ROWS_MAX} rows, expected it in parts"));
            }
            rows.push(row);
        }
        // An open quote swallows the rest of the file into the last cell.
        let last_line = rows.last().map_or(1, |row: &Row| row.line);
        let spans_lines = rows.last().map_or(&header, |row| &row.cells).iter().any(|cell| cell.contains('\n'));
        if spans_lines && !text.matches('"').count().is_multiple_of(2) {
            return refused(last_line, "a quote is opened and never closed");
        }
        Ok(Self { delimiter: char::from(delimiter), headers, rows })
    }

    /// The column of a header.
    pub fn column(&self, header: &str) -> Option<usize> {
        self.headers.iter().position(|name| name == header)
    }
}

/// The line on which a record begins, from 1. The reader's own count stands before the line breaks that precede the record.
pub(crate) fn line_of(text: &str, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.as_bytes().get(byte..)).unwrap_or_default();
    let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() + breaks as u64
}

/// The delimiter that the first line has most of outside quotes; a comma if it has none.
fn detect_delimiter(text: &str) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in text.trim_start_matches(['\r', '\n']).bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if !quoted => counts.iter_mut().filter(|(delimiter, _)| *delimiter == byte).for_each(|(_, count)| *count += 1),
            _ => {}
        }
    }
    // The last of equal counts would win, so the comma goes last.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

fn name_columns(header: &StringRecord, line: u64) -> Result<Vec<String>, TableError> {
    if header.len() > COLUMNS_MAX {
        return refused(line, format!("the file has {} columns, expected at most {COLUMNS_MAX}", header.len()));
    }
    let mut seen = HashSet::new();
    let mut headers = Vec::with_capacity(header.len());
    for (index, name) in header.iter().enumerate() {
        let name = if name.is_empty() { format!("column {}", index + 1) } else { name.to_owned() };
        if !seen.insert(name.clone()) {
            return refused(line, format!("column `{name}` is there twice, expected each name once"));
        }
        headers.push(name);
    }
    Ok(headers)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        Table::read(text.as_bytes()).unwrap().rows.iter().map(|row| row.cells().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn each_delimiter_is_found_out_by_the_header() {
        for (text, delimiter) in
            [("a,b\n1,2;3\n", ','), ("a;b\r\n1;\"2;3\"\r\n", ';'), ("a\tb\n1\t2,3\n", '\t'), ("\"a;;;\",b\n1,2\n", ','), ("a\n1\n", ',')]
        {
            let table = Table::read(text.as_bytes()).unwrap();
            assert_eq!((table.delimiter, table.rows.len()), (delimiter, 1), "{text:?}");
        }
    }

    #[test]
    fn quotes_line_breaks_and_a_byte_order_mark_are_read() {
        assert_eq!(cells("\u{feff}id,note\r\n1,\"a, \"\"b\"\"\nc\"\r\n"), [["1", "a, \"b\"\nc"]]);
        assert_eq!(Table::read("\u{feff}id\n".as_bytes()).unwrap().headers, ["id"]);
    }

    #[test]
    fn rows_know_their_line_and_empty_ones_are_left_out() {
        let table = Table::read(b"a;b\n\n1;\"x\ny\"\n;;\n2;3\n").unwrap();
        assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 6]);
        let windows = Table::read(b"\r\na;b\r\n1;2\r\n\r\n3;4\r\n").unwrap();
        assert_eq!(windows.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 5]);
        assert_eq!((table.rows[1].cell(1), table.rows[1].cell(9), table.rows[1].len()), ("3", "", 2));
    }

    #[test]
    fn a_column_without_a_name_gets_its_number() {
        let table = Table::read(b"a,,b\n").unwrap();
        assert_eq!((table.headers.clone(), table.column("b")), (vec!["a".into(), "column 2".into(), "b".into()], Some(2)));
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        let refusal = |bytes: &[u8]| Table::read(bytes).unwrap_err();
        assert_eq!(refusal(b"").line, 1);
        assert_eq!(refusal(b"\n\n").reason, "the file is empty, expected a line of column names");
        assert_eq!(refusal(b"a,b\n1,2\n3,\xff\n").line, 3);
        assert!(refusal(b"\xff\xfea\0").reason.contains("UTF-8"));
        assert_eq!(refusal(b"a,b, a\n").to_string(), "line 1: column `a` is there twice, expected each name once");
        assert_eq!(refusal(b"a,b\n1,2\n3,\"4\n5,6\n").line, 3);
        assert!(refusal(b"a,\"b\n1,2\n").reason.contains("never closed"));
        let wide = vec!["x"; 201].iter().enumerate().map(|(index, x)| format!("{x}{index}")).collect::<Vec<_>>().join(",");
        assert!(refusal(wide.as_bytes()).reason.contains("201 columns"));
        let long = format!("a\n{}", "1\n".repeat(ROWS_MAX + 1));
        assert_eq!(refusal(long.as_bytes()).line, 100_002);
        assert_eq!(Table::read(long.trim_end_matches("1\n").as_bytes()).map(|table| table.rows.len()), Ok(0));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "[a,;\t\"\r\n1]{0,60}") {
            let _ = Table::read(&bytes);
            let _ = Table::read(text.as_bytes());
        }
    }
}
