//! `check`: looks whether everything is as it should be. Reads, and changes nothing.

mod port;
mod ttp;

use std::io::{self, Write};
use std::path::Path;

use parlour_keylog::RootCertificate;
use parlour_protocol::Limits;
use parlour_protocol::limits::{CLOCK_TOLERANCE_MS, TABLE};
use parlour_upkeep::{Finding, Report, look};

use crate::clock::Clock;
use crate::config::Told;
use crate::data::database_in;
use crate::store::inspect;
use crate::{danger, tls};

/// Looks at all that was told.
pub async fn check(told: &Told) -> Report {
    let clock = Clock::with_offset(told.clock_offset);
    let mut report = Report::default();
    let root = keys(told.keys.as_deref(), clock, &mut report);
    data(told.data.as_deref(), root.as_ref(), clock, &mut report);
    report.add(port::find(told.listen.as_deref(), told.data.as_deref()).await);
    report.add(port::find_metrics(told.metrics.as_deref(), told.data.as_deref()).await);
    report.add(limits(told));
    report.add(ttp::find(told.ttp.as_deref()).await);
    report.add(look::recipient(told.backup_recipient.as_deref(), "parlour-server"));
    report.add(look::sandbox(parlour_sandbox::available(), told.wants_sandbox()));
    report
}

/// The key and the certificates; the root, if there is one.
fn keys(keys: Option<&Path>, clock: Clock, report: &mut Report) -> Option<RootCertificate> {
    let Some(keys) = keys else {
        report.add(Finding::not_checked("keys", "no --keys was given"));
        report.add(Finding::not_checked("certificate", "no --keys was given"));
        return None;
    };
    report.add(look::private_files("keys", &[&keys.join("server.key")]));
    report.extend(look::guarded_folder("keys", keys));
    match tls::certificates(keys) {
        Ok((server, root)) => {
            let now = clock.now().as_seconds();
            let fix = "mint another with 'parlour-ttp server-cert', then send SIGHUP to the server";
            let name = keys.join("server.crt").display().to_string();
            report.add(match server.verify(&root, server.not_before()) {
                Ok(()) => look::certificate_dates(
                    "certificate",
                    &name,
                    server.not_before(),
                    server.not_after(),
                    now,
                    fix,
                ),
                Err(error) => Finding::wrong("certificate", format!("{name}: {error}"), fix),
            });
            let name = keys.join("ca.crt").display().to_string();
            let fix = "a root cannot be renewed: make a new one with 'parlour-ttp init' and register anew";
            let (from, until) = (root.not_before(), root.not_after());
            report.add(look::certificate_dates("root", &name, from, until, now, fix));
            // Whether key and certificate are a pair shows when both are loaded.
            if let Err(error) = tls::load(keys, clock) {
                report.add(Finding::wrong("keys", error.to_string(), error.hint().unwrap_or_default()));
            }
            Some(root)
        }
        Err(error) => {
            report.add(Finding::wrong("certificate", error.to_string(), error.hint().unwrap_or_default()));
            None
        }
    }
}

/// The folder, the database in it, and what its newest message says of the clock.
fn data(data: Option<&Path>, root: Option<&RootCertificate>, clock: Clock, report: &mut Report) {
    let Some(data) = data else {
        for what in ["data", "disk", "database", "clock"] {
            report.add(Finding::not_checked(what, "no --data was given"));
        }
        return;
    };
    let database = database_in(data);
    report
        .add(look::guarded_folder("data", data).unwrap_or_else(|| look::private_files("data", &[&database])));
    report.add(look::disk(data));
    let (database_found, newest) = match inspect(&database, root) {
        Ok(inspection) => {
            let finding = match inspection.damage() {
                None => Finding::well("database", inspection.inventory.line()),
                Some(damage) => Finding::wrong("database", damage, RESTORE),
            };
            (finding, inspection.inventory.newest)
        }
        Err(reason) => {
            let problem = format!("{} cannot be read: {reason}", database.display());
            (Finding::wrong("database", problem, RESTORE), None)
        }
    };
    report.add(database_found);
    report.add(look::clock(newest.as_deref(), clock.now().as_millis(), CLOCK_TOLERANCE_MS));
}

const RESTORE: &str = "stop the server, move the folder away and put back the newest good backup with \
    'parlour-server restore'";

/// What `run` would refuse to do with these limits on this address.
fn limits(told: &Told) -> Finding {
    let Some(listen) = told.listen.as_deref() else {
        return Finding::not_checked("limits", "no --listen was given");
    };
    match crate::server::resolve(listen) {
        Err(error) => Finding::wrong("limits", error.to_string(), error.hint().unwrap_or_default()),
        Ok(address) => match danger::of_limits(address, &told.limits) {
            Some(problem) => Finding::wrong("limits", problem, "take the limit back to its default"),
            None => Finding::well("limits", format!("they fit {address}")),
        },
    }
}

/// Writes the findings, and the limits that hold.
pub fn write(report: &Report, limits: &Limits, json: bool, out: &mut impl Write) -> io::Result<()> {
    report.write(json, out)?;
    for row in TABLE {
        let value = limits.get(row.name).unwrap_or(row.default);
        if json {
            writeln!(
                out,
                "{}",
                serde_json::json!({"limit": row.name, "value": value, "default": row.default})
            )?;
        } else if value == row.default {
            writeln!(out, "limit        {} = {value}", row.name)?;
        } else {
            writeln!(out, "limit        {} = {value} (default {})", row.name, row.default)?;
        }
    }
    Ok(())
}
