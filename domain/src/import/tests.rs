#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::{
    Currency, Money, PartnerId,
    conversion::{ConversionType, NewConversion, NewReversal},
    webhook::{Event, parse_event},
};

fn partner() -> PartnerId {
    "supabase".parse().unwrap()
}

fn import(text: &str) -> Vec<Result<ImportedRow, RowError>> {
    let table = Table::read(text.as_bytes()).unwrap();
    let mapping = Mapping::guess(&table.headers);
    rows(&table, &mapping, &partner()).unwrap().collect()
}

fn conversion(row: &Result<ImportedRow, RowError>) -> &NewConversion {
    match row.as_ref().unwrap() {
        ImportedRow::Conversion(conversion) | ImportedRow::Both(conversion, _) => conversion,
        ImportedRow::Reversal(_) => panic!("a reversal: {row:?}"),
    }
}

fn reversal(row: &Result<ImportedRow, RowError>) -> &NewReversal {
    match row.as_ref().unwrap() {
        ImportedRow::Reversal(reversal) | ImportedRow::Both(_, reversal) => reversal,
        ImportedRow::Conversion(_) => panic!("a conversion: {row:?}"),
    }
}

fn refusal(header: &str, row: &str) -> (String, String) {
    let error = import(&format!("{header}\n{row}\n")).remove(0).unwrap_err();
    (error.column, error.value)
}

const OWN: &str = "event,conversion_id,reversal_id,type,occurred_at,amount,currency,click_id,session_id,user_id,reason";

#[test]
fn our_own_format_is_read_and_told_in_the_words_of_our_contract() {
    let session = "0197a000-0000-7000-8000-000000000001";
    let read = import(&format!(
        "{OWN}\nconversion.created,ord_1,,upgrade,2026-11-20T12:00:00Z,\"1,049.00\",USD,tok,{session},u1,\nconversion.reversed,ord_1,ref_1,,2026-11-21,49.00,USD,,,,customer asked\n"
    ));
    assert_eq!((conversion(&read[0]).value.amount_minor, conversion(&read[0]).conversion_type), (104_900, ConversionType::Upgrade));
    for row in &read {
        for event in row.as_ref().unwrap().events() {
            let expected = match row.as_ref().unwrap() {
                ImportedRow::Reversal(reversal) => Event::ConversionReversed(reversal.clone()),
                _ => Event::ConversionCreated(conversion(row).clone()),
            };
            assert_eq!(parse_event(&partner(), &event.message_id, event.body.to_string().as_bytes()), Ok(expected));
        }
    }
    assert_eq!(reversal(&read[1]).reason.as_deref(), Some("customer asked"));
}

#[test]
fn dubs_commissions_are_read_by_the_value_of_the_sale() {
    let read = import(
        "id,type,amount,earnings,currency,status,invoiceId,quantity,createdAt,customerExternalId\n\
         cm_1,sale,$49.00,$9.80,usd,paid,in_1,1,2026-11-20T12:00:00.000Z,cus_1\n\
         cm_2,sale,4900,980,usd,refunded,in_2,1,2026-11-20T12:00:00.000Z,cus_2\n\
         cm_3,lead,0,500,usd,pending,,1,2026-11-20T12:00:00.000Z,cus_3\n\
         cm_4,custom,0,-500,usd,pending,,1,2026-11-20T12:00:00.000Z,\n\
         cm_5,click,0,5,usd,pending,,1,2026-11-20T12:00:00.000Z,\n\
         cm_6,sale,€49.00,€9.80,eur,fraud,in_6,1,2026-11-20T12:00:00.000Z,cus_6\n",
    );
    assert_eq!((conversion(&read[0]).value.amount_minor, conversion(&read[0]).claim.user_identifier.as_deref()), (4900, Some("cus_1")));
    assert_eq!((reversal(&read[1]).amount, reversal(&read[1]).external_event_id.as_str()), (None, "cm_2/refund"));
    assert_eq!(conversion(&read[2]).conversion_type, ConversionType::Lead);
    assert!(read[3].as_ref().is_err_and(|error| error.column == "type" && error.line == 5));
    assert!(read[4].is_err());
    assert_eq!((conversion(&read[5]).value.currency.code(), reversal(&read[5]).reason.as_deref()), ("EUR", Some("fraud")));
}

#[test]
fn dubs_sale_events_are_dollars() {
    let read = import(
        "Date,Event,Customer,Invoice ID,Sale Amount,Click ID\n2026-11-20T12:00:00.000Z,Subscription,Ann <a@b.c>,in_1,$1049.00,dub_clk\n",
    );
    let sale = conversion(&read[0]);
    assert_eq!(
        (sale.value, sale.external_event_id.as_str(), sale.claim.click_token.as_deref()),
        (Money::new(104_900, Currency::USD), "in_1", Some("dub_clk"))
    );
}

#[test]
fn rewardfuls_refunds_are_partial_by_their_cents() {
    let read = import(
        "sale.stripe_charge_id,sale.currency,sale.charged_at,sale.sale_amount_cents,sale.refund_amount_cents,state,referral.link.token\n\
         ch_1,USD,2020-08-19T16:28:25.000Z,10000,0,due,jane\nch_2,USD,2020-08-19 16:28:25 UTC,10000,2500,paid,jane\n",
    );
    assert!(matches!(read[0], Ok(ImportedRow::Conversion(_))));
    assert_eq!(conversion(&read[0]).value.amount_minor, 10_000);
    assert_eq!(reversal(&read[1]).amount, Some(Money::new(2500, Currency::USD)));
}

#[test]
fn a_wrong_row_hides_no_other() {
    let read = import("id,date,amount,currency\n1,2026-11-20,5,USD\n2,never,5,USD\n3,2026-11-20,5\n4,2026-11-20,5,USD\n");
    assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(
        read[1].as_ref().unwrap_err().to_string(),
        "line 3, column `date`: `never` should be a time such as 2026-11-20T12:00:00Z, 2026-11-20 12:00, 2026-11-20 or Unix seconds"
    );
    assert_eq!(read[2].as_ref().unwrap_err().line, 4);
}

#[test]
fn each_wrong_cell_is_named() {
    let named = |row: &str| refusal("id,type,date,amount,currency,status,refunded amount,session id,kind,click id", row);
    let cell = |column: &str, value: &str| (column.to_owned(), value.to_owned());
    assert_eq!(named(",sale,2026-11-20,5,USD,,,,,"), cell("id", ""));
    assert_eq!(named("1,gift,2026-11-20,5,USD,,,,,"), cell("type", "gift"));
    assert_eq!(named("1,sale,,5,USD,,,,,"), cell("date", ""));
    assert_eq!(named("1,sale,2026-11-20,,USD,,,,,"), cell("amount", ""));
    assert_eq!(named("1,sale,2026-11-20,5.001,USD,,,,,"), cell("amount", "5.001"));
    assert_eq!(named("1,sale,2026-11-20,-5,USD,,,,,"), cell("amount", "-5"));
    assert_eq!(named("1,sale,2026-11-20,5,EURO,,,,,"), cell("currency", "EURO"));
    assert_eq!(named("1,sale,2026-11-20,5,,,,,,"), cell("currency", ""));
    assert_eq!(named("1,sale,2026-11-20,5,USD,odd,,,,"), cell("status", "odd"));
    assert_eq!(named("1,sale,2026-11-20,5,USD,,6,,,"), cell("refunded amount", "6"));
    assert_eq!(named("1,sale,2026-11-20,5,USD,partially_refunded,,,,"), cell("refunded amount", ""));
    assert_eq!(named("1,sale,2026-11-20,5,USD,,,7,,"), cell("session id", "7"));
    assert_eq!(named("1,sale,2026-11-20,5,USD,,,,gift,"), cell("kind", "gift"));
    assert_eq!(named("1,sale,2026-11-20,0,USD,,,,refund,"), cell("amount", "0"));
    assert_eq!(named("1,sale,2026-11-20,5,USD,,,,refund,"), cell("reversal_id", ""));
    assert_eq!(named(&format!("{},sale,2026-11-20,5,USD,,,,,", "x".repeat(201))).0, "id");
    assert_eq!(named(&format!("{},sale,2026-11-20,5,USD,refunded,,,,", "x".repeat(194))).0, "id");
    assert_eq!(named(&format!("1,sale,2026-11-20,5,USD,,,,,{}", "c".repeat(201))), ("click id".to_owned(), "c".repeat(100)));
}

#[test]
fn a_reversal_finds_its_conversion_by_either_way_of_naming_it() {
    let own = import(&format!(
        "{OWN}\nconversion.reversed,ord_1,ref_1,,2026-11-21,49.00,USD,,,,\nconversion.reversed,ord_1,,,2026-11-21,,,,,,\n"
    ));
    assert_eq!((reversal(&own[0]).external_event_id.as_str(), reversal(&own[0]).conversion_external_event_id.as_str()), ("ref_1", "ord_1"));
    assert_eq!((reversal(&own[1]).external_event_id.as_str(), reversal(&own[1]).amount), ("ord_1/refund", None));
    let other = import("kind,id,original id,date,amount,currency\nrefund,r1,o1,2026-11-20,-5.00,USD\n");
    assert_eq!((reversal(&other[0]).external_event_id.as_str(), reversal(&other[0]).conversion_external_event_id.as_str()), ("r1", "o1"));
    assert_eq!(reversal(&other[0]).amount, Some(Money::new(500, Currency::USD)));
}

#[test]
fn fixed_defaults_stand_in_for_missing_columns() {
    let table = Table::read(b"nr;when;eur\n7;2026-11-20 08:30;12.50\n").unwrap();
    let columns = [(Field::ExternalEventId, "nr"), (Field::OccurredAt, "when"), (Field::Amount, "eur")];
    let mapping = Mapping {
        format: Format::Custom,
        columns: columns.map(|(field, header)| (field, header.to_owned())).into(),
        amount_unit: AmountUnit::Major,
        currency: Some("EUR".parse().unwrap()),
        conversion_type: ConversionType::Renewal,
        kind: RowKind::Conversion,
    };
    let read: Vec<_> = rows(&table, &mapping, &partner()).unwrap().collect();
    assert_eq!(
        (conversion(&read[0]).value.to_string(), conversion(&read[0]).conversion_type),
        ("€12.50".to_owned(), ConversionType::Renewal)
    );
    let without = Mapping { currency: None, ..mapping };
    assert!(rows(&table, &without, &partner()).is_err_and(|error| error.field == Field::Currency));
}

#[test]
fn a_message_id_depends_on_the_event_and_not_on_the_file() {
    let ids =
        |text: &str| import(text).iter().flat_map(|row| row.as_ref().unwrap().events()).map(|event| event.message_id).collect::<Vec<_>>();
    let one = ids("id,date,amount,currency\n1,2026-11-20,5,USD\n2,2026-11-20,5,USD\n");
    let other = ids("currency;amount;date;id\nUSD;5.00;2026-11-20 00:00;2\n");
    assert_eq!(one[1], other[0]);
    assert_ne!(one[0], one[1]);
    let both = ids("id,date,amount,currency,status\n1,2026-11-20,5,USD,refunded\n");
    assert_eq!((both.len(), &both[0]), (2, &one[0]));
    assert_ne!(both[0], both[1]);
    assert!(one[0].starts_with("csv_") && one[0].len() == 36);
}

proptest! {
    #[test]
    fn no_bytes_make_the_import_panic(bytes: Vec<u8>, cells in "[-0-9a-zA-Z,;\"\n $.:]{0,120}") {
        let file = format!("event,conversion_id,reversal_id,type,occurred_at,amount,currency,status,refunded_amount\n{cells}");
        for bytes in [&bytes[..], cells.as_bytes(), file.as_bytes()] {
            let Ok(table) = Table::read(bytes) else { continue };
            let mapping = Mapping::guess(&table.headers);
            let partner = partner();
            if let Ok(rows) = rows(&table, &mapping, &partner) {
                rows.for_each(|row| drop(row.map(|row| row.events())));
            }
        }
    }

    #[test]
    fn what_is_imported_is_what_the_webhook_would_have_said(
        id in "[a-z0-9_]{1,20}", minor in 0_i64..100_000_000, refund in 0_i64..200_000_000, code in prop::sample::select(vec!["USD", "JPY", "KWD"]), seconds in 1_000_000_000_i64..2_000_000_000,
    ) {
        let value = Money::new(minor, code.parse().unwrap());
        let refunded = Money::new(refund.min(minor), value.currency);
        let read = import(&format!("id,date,amount,currency,refunded_amount\n{id},{seconds},{},{code},{}\n", value.to_decimal(), refunded.to_decimal()));
        let row = read[0].as_ref().unwrap();
        for event in row.events() {
            match parse_event(&partner(), &event.message_id, event.body.to_string().as_bytes()).unwrap() {
                Event::ConversionCreated(parsed) => prop_assert_eq!(&parsed, conversion(&read[0])),
                Event::ConversionReversed(parsed) => prop_assert_eq!(&parsed, reversal(&read[0])),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(row.events().len(), if refunded.amount_minor > 0 { 2 } else { 1 });
    }
}
