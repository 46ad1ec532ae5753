//! `check`: finds everything that needs the operator's attention. It changes nothing.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;

use parlour_keylog::RootCertificate;
use parlour_protocol::Timestamp;
use parlour_protocol::limits::CLOCK_TOLERANCE_MS;
use parlour_sandbox::Mode;
use parlour_upkeep::{Finding, Report, look};

use super::{CommandError, server_cert};
use crate::authority::{self, OpenError};
use crate::cli::CheckArgs;
use crate::clock::Clock;
use crate::folder::{AuthorityFolder, KeyFolder};
use crate::ledger::inspect;

const RESTORE: &str = "stop the TTP; put back its newest good backup with 'parlour-ttp restore' into another \
    folder, unless names were issued since";

/// Checks a folder of keys, if one is named. Returns true if nothing is wrong.
pub(super) fn run(
    keys: Option<&KeyFolder>,
    args: &CheckArgs,
    clock: &impl Clock,
    out: &mut impl Write,
) -> Result<bool, CommandError> {
    let mut report = Report::default();
    match keys {
        Some(keys) => look_at(keys, clock.now(), &mut report),
        None => {
            for what in ["keys", "root", "certificate", "disk", "database", "clock", "socket"] {
                report.add(Finding::not_checked(what, "no --keys was given"));
            }
        }
    }
    report.add(look::recipient(args.recipient.as_deref(), "parlour-ttp"));
    report.add(look::sandbox(parlour_sandbox::available(), args.sandbox != Some(Mode::Off)));
    report.write(args.json, out)?;
    Ok(report.is_well())
}

fn look_at(keys: &KeyFolder, now: Timestamp, report: &mut Report) {
    let folder = keys.authority();
    let fix = "name the folder of keys with --keys; 'parlour-ttp init' makes one";
    if let Some(unusable) = look::unusable_folder("keys", folder.path(), fix) {
        report.add(unusable);
        for what in ["root", "certificate", "disk", "database", "clock", "socket"] {
            report
                .add(Finding::not_checked(what, format!("{} cannot be looked at", folder.path().display())));
        }
        return;
    }
    report.add(look::private_files("keys", &[&folder.root_key(), &folder.log_key(), &folder.database()]));
    report.extend(look::guarded_folder("keys", folder.path()));
    let root = match root(keys, &folder) {
        Ok(root) => {
            let name = folder.root_certificate().display().to_string();
            let fix = "a root cannot be renewed: make a new one with 'parlour-ttp init' and register anew";
            let (from, until) = (root.not_before(), root.not_after());
            report.add(look::certificate_dates("root", &name, from, until, now.as_seconds(), fix));
            Some(root)
        }
        Err(error) => {
            report.add(Finding::wrong("root", error.to_string(), error.hint().unwrap_or_default()));
            None
        }
    };
    report.add(server_certificate(keys, now));
    report.add(look::disk(folder.path()));
    database(&folder, root.as_ref(), now, report);
    report.add(socket(&folder));
}

/// Reads the root, whose key and certificate must be a pair.
fn root(keys: &KeyFolder, folder: &AuthorityFolder) -> Result<RootCertificate, OpenError> {
    let root = authority::read_root(keys)?;
    authority::read_issuer(folder, &root)?;
    Ok(root)
}

/// Checks the server's certificate, if it is in the same folder of keys.
fn server_certificate(keys: &KeyFolder, now: Timestamp) -> Finding {
    let folder = keys.server();
    let Some(certificate) = server_cert::present(&folder) else {
        // If the server runs as another user, this folder belongs to that user.
        if look::withheld("certificate", &folder.chain()).is_some() {
            let why = format!("this user may not look at {}", folder.path().display());
            return Finding::not_checked("certificate", why);
        }
        return Finding::not_checked("certificate", "no server's certificate is in this folder of keys");
    };
    look::certificate_dates(
        "certificate",
        &folder.chain().display().to_string(),
        certificate.not_before(),
        certificate.not_after(),
        now.as_seconds(),
        "mint another with 'parlour-ttp server-cert', then send SIGHUP to the server",
    )
}

fn database(folder: &AuthorityFolder, root: Option<&RootCertificate>, now: Timestamp, report: &mut Report) {
    match inspect(&folder.database(), root) {
        Ok(inspection) => {
            report.add(match inspection.damage() {
                None => Finding::well("database", inspection.inventory.line()),
                Some(damage) => Finding::wrong("database", damage, RESTORE),
            });
            let newest = inspection.inventory.newest.as_deref();
            report.add(look::clock(newest, now.as_millis(), CLOCK_TOLERANCE_MS));
        }
        Err(error) => {
            // SQLite needs files beside the database even for reading.
            let needs_more = || look::is_read_only(folder.path()).then(|| unseen(folder));
            let withheld = look::withheld("database", &folder.database()).or_else(needs_more);
            let fix = error.hint().unwrap_or_default();
            report.add(withheld.unwrap_or_else(|| Finding::wrong("database", error.to_string(), fix)));
            report.add(Finding::not_checked("clock", "the database cannot be read"));
        }
    }
}

fn unseen(folder: &AuthorityFolder) -> Finding {
    let name = format!("{}, whose folder it may not write to", folder.database().display());
    look::out_of_reach("database", &name)
}

/// Checks that the socket is served. If it is not, that is no fault: the TTP has to run only to issue.
fn socket(folder: &AuthorityFolder) -> Finding {
    let path = folder.socket();
    match UnixStream::connect(&path) {
        Ok(_) => Finding::well("socket", format!("{} is served", path.display())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Finding::not_checked("socket", "nobody serves it; 'parlour-ttp serve' has to run to issue")
        }
        Err(error) => Finding::wrong(
            "socket",
            format!("{} cannot be reached: {error}", path.display()),
            "run this as the user who owns the folder of keys",
        ),
    }
}
