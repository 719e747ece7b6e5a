//! The table of accounts: sums by day, caller, provider and model. It adds what it is given; it counts nothing itself.

use crate::column::{self, Unknown};
use contract::usage::{UsageSlot, UsageTotals};
use jiff::civil::Date;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

/// Adds sums to those of the same day, caller, provider and model.
pub(crate) fn add(connection: &Connection, more: &[(UsageSlot, UsageTotals)]) -> rusqlite::Result<()> {
    // A sum of something known and something unknown is what is known.
    let mut statement = connection.prepare_cached(
        "INSERT INTO usage (day, who, provider, model, calls, errors, cancelled, uncounted, input, output, cached_input, reasoning, cost,
                            answered, first_token, total, guessed_tokens, guessed_cost)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (day, who, provider, model) DO UPDATE SET
           calls = calls + excluded.calls, errors = errors + excluded.errors, cancelled = cancelled + excluded.cancelled,
           uncounted = uncounted + excluded.uncounted,
           input = coalesce(input + excluded.input, input, excluded.input),
           output = coalesce(output + excluded.output, output, excluded.output),
           cached_input = coalesce(cached_input + excluded.cached_input, cached_input, excluded.cached_input),
           reasoning = coalesce(reasoning + excluded.reasoning, reasoning, excluded.reasoning),
           cost = coalesce(cost + excluded.cost, cost, excluded.cost),
           answered = answered + excluded.answered, first_token = first_token + excluded.first_token, total = total + excluded.total,
           guessed_tokens = guessed_tokens + excluded.guessed_tokens, guessed_cost = guessed_cost + excluded.guessed_cost",
    )?;
    for (slot, sum) in more {
        statement.execute(params![
            slot.day.to_string(),
            &*slot.who,
            &*slot.provider,
            &*slot.model,
            column::count(sum.calls),
            column::count(sum.errors),
            column::count(sum.cancelled),
            column::count(sum.uncounted),
            sum.input.map(column::count),
            sum.output.map(column::count),
            sum.cached_input.map(column::count),
            sum.reasoning.map(column::count),
            sum.cost_nanos.map(column::count),
            column::count(sum.answered),
            column::count(sum.first_token_us),
            column::count(sum.total_us),
            column::count(sum.guessed_tokens),
            column::count(sum.guessed_nanos),
        ])?;
    }
    Ok(())
}

/// Every sum from `since` on, the oldest day first.
pub(crate) fn load(connection: &Connection, since: Date) -> rusqlite::Result<Vec<(UsageSlot, UsageTotals)>> {
    let mut statement = connection.prepare_cached(
        "SELECT day, who, provider, model, calls, errors, cancelled, uncounted, input, output, cached_input, reasoning, cost, answered,
                first_token, total, guessed_tokens, guessed_cost
         FROM usage WHERE day >= ?1 ORDER BY day, who, provider, model",
    )?;
    statement.query_map([since.to_string()], from_row)?.collect()
}

/// Forgets the days before `before`. Returns how many rows went.
pub(crate) fn forget(connection: &Connection, before: Date) -> rusqlite::Result<usize> {
    connection.prepare_cached("DELETE FROM usage WHERE day < ?1")?.execute([before.to_string()])
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(UsageSlot, UsageTotals)> {
    let day: String = row.get(0)?;
    let known = |at: usize| match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        _ => column::get_count(row, at).map(Some),
    };
    let slot = UsageSlot {
        day: day.parse().map_err(|_| Unknown::in_column(0, "day", day.clone()))?,
        who: row.get::<_, String>(1)?.into(),
        provider: row.get::<_, String>(2)?.into(),
        model: row.get::<_, String>(3)?.into(),
    };
    let sum = UsageTotals {
        calls: column::get_count(row, 4)?,
        errors: column::get_count(row, 5)?,
        cancelled: column::get_count(row, 6)?,
        uncounted: column::get_count(row, 7)?,
        input: known(8)?,
        output: known(9)?,
        cached_input: known(10)?,
        reasoning: known(11)?,
        cost_nanos: known(12)?,
        answered: column::get_count(row, 13)?,
        first_token_us: column::get_count(row, 14)?,
        total_us: column::get_count(row, 15)?,
        guessed_tokens: column::get_count(row, 16)?,
        guessed_nanos: column::get_count(row, 17)?,
    };
    Ok((slot, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::{MIGRATIONS, migrate};
    use jiff::civil::date;

    fn slot(day: Date, model: &str) -> UsageSlot {
        UsageSlot { day, who: "tablet".into(), provider: "openai".into(), model: model.into() }
    }

    #[test]
    fn adds_by_slot_and_keeps_what_is_unknown_unknown() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let (first, second) = (date(2026, 2, 28), date(2026, 3, 1));
        let untold = UsageTotals { calls: 1, uncounted: 1, total_us: 5, ..UsageTotals::default() };
        let told = UsageTotals {
            calls: 2,
            errors: 1,
            cancelled: 1,
            input: Some(7),
            cost_nanos: Some(9),
            answered: 2,
            first_token_us: 3,
            total_us: 4,
            guessed_tokens: 11,
            guessed_nanos: 13,
            ..UsageTotals::default()
        };
        add(&connection, &[(slot(first, "a"), told), (slot(second, "b"), untold)]).unwrap();
        add(&connection, &[(slot(second, "b"), untold), (slot(first, "a"), untold), (slot(first, "a"), told)]).unwrap();
        let mut sum = told;
        sum.add(&untold);
        sum.add(&told);
        let mut both = untold;
        both.add(&untold);
        assert_eq!(load(&connection, first).unwrap(), [(slot(first, "a"), sum), (slot(second, "b"), both)]);
        assert_eq!(both.input, None);
        assert_eq!(load(&connection, second).unwrap(), [(slot(second, "b"), both)]);
        assert_eq!(forget(&connection, second).unwrap(), 1);
        assert_eq!(load(&connection, first).unwrap().len(), 1);
    }
}
