//! `check`: finds everything that needs the operator's attention. It changes nothing.

mod audit;
mod port;
mod ttp;

use std::io::{self, Write};
use std::path::Path;

use parlour_keylog::RootCertificate;
use parlour_protocol::Limits;
use parlour_protocol::limits::{CLOCK_TOLERANCE_MS, TABLE};
use parlour_upkeep::{Finding, Report, look};

use crate::clock::Clock;
use crate::edge::{socket, tls};
use crate::operations::config::Configuration;
use crate::operations::danger;
use crate::operations::data::database_in;
use crate::operations::startup::StartError;
use crate::store::inspect;

/// Checks everything that is configured.
pub async fn check(configured: &Configuration) -> Report {
    let clock = Clock::with_offset(configured.clock_offset);
    let mut report = Report::default();
    let root = keys(configured.keys.as_deref(), clock, &mut report);
    data(configured.data.as_deref(), root.as_ref(), clock, &mut report);
    report.add(port::find(configured.listen.as_deref(), configured.data.as_deref()).await);
    report.add(port::find_metrics(configured.metrics.as_deref(), configured.data.as_deref()).await);
    report.add(limits(configured));
    report.add(ttp::find(configured.ttp.as_deref()).await);
    report.add(look::recipient(configured.backup_recipient.as_deref(), "parlour-server"));
    report.add(look::sandbox(parlour_sandbox::available(), configured.wants_sandbox()));
    report
}

/// Checks the key and the certificates. Returns the root, if there is one.
fn keys(keys: Option<&Path>, clock: Clock, report: &mut Report) -> Option<RootCertificate> {
    let Some(keys) = keys else {
        report.add(Finding::not_checked("keys", "no --keys was given"));
        report.add(Finding::not_checked("certificate", "no --keys was given"));
        return None;
    };
    let key = keys.join("server.key");
    report.add(look::private_files("keys", &[&key]));
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
            // Loading fails if key and certificate are not a pair.
            if let Err(error) = tls::load(keys, clock) {
                report.add(look::withheld("keys", &key).unwrap_or_else(|| wrong("keys", &error.into())));
            }
            Some(root)
        }
        Err(error) => {
            let withheld = ["server.crt", "ca.crt"]
                .iter()
                .find_map(|name| look::withheld("certificate", &keys.join(name)));
            report.add(withheld.unwrap_or_else(|| wrong("certificate", &error.into())));
            None
        }
    }
}

/// A finding for an error that would keep a server from starting.
fn wrong(what: &'static str, error: &StartError) -> Finding {
    Finding::wrong(what, error.to_string(), error.hint().unwrap_or_default())
}

/// Checks the folder, the database in it, and the clock by the newest message.
fn data(data: Option<&Path>, root: Option<&RootCertificate>, clock: Clock, report: &mut Report) {
    let Some(data) = data else {
        for what in ["data", "disk", "database", "audit", "clock"] {
            report.add(Finding::not_checked(what, "no --data was given"));
        }
        return;
    };
    let fix = "name the server's data directory with --data; a server that never ran has none yet";
    if let Some(unusable) = look::unusable_folder("data", data, fix) {
        report.add(unusable);
        for what in ["disk", "database", "audit", "clock"] {
            report.add(Finding::not_checked(what, format!("{} cannot be looked at", data.display())));
        }
        return;
    }
    let database = database_in(data);
    report
        .add(look::guarded_folder("data", data).unwrap_or_else(|| look::private_files("data", &[&database])));
    report.add(look::disk(data));
    match inspect(&database, root) {
        Ok(inspection) => {
            report.add(match inspection.damage() {
                None => Finding::well("database", inspection.inventory.line()),
                Some(damage) => Finding::wrong("database", damage, RESTORE),
            });
            report.add(audit::find(&database));
            let newest = inspection.inventory.newest.as_deref();
            report.add(look::clock(newest, clock.now().as_millis(), CLOCK_TOLERANCE_MS));
        }
        Err(reason) => {
            report.add(unread(data, &database, &reason));
            for what in ["audit", "clock"] {
                report.add(Finding::not_checked(what, "the database cannot be read"));
            }
        }
    }
}

/// A finding for a database that could not be read at all.
fn unread(data: &Path, database: &Path, reason: &str) -> Finding {
    if matches!(database.try_exists(), Ok(false)) {
        let problem = format!("there is no database {}", database.display());
        let fix = "name the server's data directory with --data; if the database was there, put back the newest good \
            backup with 'parlour-server restore'";
        return Finding::wrong("database", problem, fix);
    }
    // SQLite needs files beside the database even for reading.
    let needs_more = || look::is_read_only(data).then(|| look::out_of_reach("database", &beside(database)));
    look::withheld("database", database).or_else(needs_more).unwrap_or_else(|| {
        Finding::wrong("database", format!("{} cannot be read: {reason}", database.display()), RESTORE)
    })
}

fn beside(database: &Path) -> String {
    format!("{}, whose folder it may not write to", database.display())
}

const RESTORE: &str = "stop the server, move the folder away and put back the newest good backup with \
    'parlour-server restore'";

/// Checks that `run` would accept these limits on this address.
fn limits(configured: &Configuration) -> Finding {
    let Some(listen) = configured.listen.as_deref() else {
        return Finding::not_checked("limits", "no --listen was given");
    };
    match socket::resolve(listen) {
        Err(error) => wrong("limits", &error.into()),
        Ok(address) => match danger::of_limits(address, &configured.limits) {
            Some(problem) => Finding::wrong("limits", problem, "set the limit to its default"),
            None => Finding::well("limits", format!("they fit {address}")),
        },
    }
}

/// Writes the findings, and the limits in force.
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
