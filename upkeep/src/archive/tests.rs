use std::collections::BTreeMap;
use std::io::Seek as _;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::key;

struct Scene {
    folder: TempDir,
    recipient: Recipient,
    identities: Identities,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let recipient = key::make(&folder.path().join("key")).unwrap();
        let identities = Identities::read(&folder.path().join("key")).unwrap();
        fs::write(folder.path().join("a.db"), b"what is kept ".repeat(40)).unwrap();
        Self { folder, recipient, identities }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, replace: bool) -> Result<(), PackError> {
        self.pack_as(&self.path("backup"), replace)
    }

    fn pack_as(&self, path: &Path, replace: bool) -> Result<(), PackError> {
        let manifest = Manifest::new("program", "1", Inventory::default());
        let files = [("a.db", self.path("a.db"))];
        let files = files.each_ref().map(|(name, path)| (*name, path.as_path()));
        pack(path, replace, &self.recipient, &manifest, &files)
    }

    fn unpack(&self, identities: &Identities, program: &str) -> Result<Manifest, UnpackError> {
        let mut unpacked = tempfile::tempfile().unwrap();
        let files = &mut [("a.db", &mut unpacked)];
        let manifest = unpack(&self.path("backup"), identities, program, files)?;
        let mut contents = Vec::new();
        unpacked.rewind().unwrap();
        unpacked.read_to_end(&mut contents).unwrap();
        assert_eq!(contents, fs::read(self.path("a.db")).unwrap());
        Ok(manifest)
    }
}

#[test]
fn a_backup_opens_for_its_key_and_its_program_alone() {
    let scene = Scene::new();
    scene.pack(false).unwrap();
    assert_eq!(fs::metadata(scene.path("backup")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(scene.unpack(&scene.identities, "program").unwrap().version, "1");
    assert!(matches!(scene.unpack(&scene.identities, "other"), Err(UnpackError::Foreign { .. })));
    key::make(&scene.path("other")).unwrap();
    let other = Identities::read(&scene.path("other")).unwrap();
    let error = scene.unpack(&other, "program").unwrap_err();
    assert!(matches!(error, UnpackError::OtherKey(_)) && !error.is_damage());
}

#[test]
fn a_flipped_bit_anywhere_and_a_missing_end_are_noticed() {
    let scene = Scene::new();
    scene.pack(false).unwrap();
    let good = fs::read(scene.path("backup")).unwrap();
    // Only every third place, since each needs another file.
    for place in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[place] ^= 1 << (place % 8);
        fs::write(scene.path("backup"), bad).unwrap();
        assert!(scene.unpack(&scene.identities, "program").is_err(), "byte {place} was flipped");
    }
    for length in (0..good.len()).step_by(31) {
        fs::write(scene.path("backup"), &good[..length]).unwrap();
        assert!(scene.unpack(&scene.identities, "program").is_err(), "{length} bytes were left");
    }
    fs::write(scene.path("backup"), [good.as_slice(), b"more"].concat()).unwrap();
    assert!(scene.unpack(&scene.identities, "program").is_err(), "something stood behind it");
}

/// Reads a tar that begins with an entry of this kind, name and length. Returns the error and the number of bytes
/// that were read.
fn refused(kind: tar::EntryType, name: &str, length: u64) -> (String, u64) {
    let mut header = header(name, length).unwrap();
    header.set_entry_type(kind);
    header.set_cksum();
    let mut count = 0;
    let tar = header.as_bytes().chain(io::repeat(b'x').take(length)).take(1 << 24);
    let counted = Counted { from: tar, count: &mut count };
    let error = read_tar(Path::new("backup"), counted, "program", &[], |_, _| Ok(())).unwrap_err();
    (error.to_string(), count)
}

struct Counted<'a, R> {
    from: R,
    count: &'a mut u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        *self.count += count as u64;
        Ok(count)
    }
}

#[test]
fn headers_that_would_be_read_into_memory_are_refused_unread() {
    use tar::EntryType;
    for kind in [EntryType::XHeader, EntryType::XGlobalHeader, EntryType::GNULongName, EntryType::GNULongLink]
    {
        let (error, count) = refused(kind, MANIFEST, 1 << 40);
        assert!(error.ends_with("manifest.json is not where it should be"), "{kind:?}: {error}");
        assert!(count <= 512, "{kind:?}: {count} bytes were read");
    }
}

#[test]
fn a_manifest_is_read_only_up_to_a_bound() {
    let (error, count) = refused(tar::EntryType::Regular, MANIFEST, 1 << 40);
    assert!(error.contains("damaged") && count <= 512 + MANIFEST_BYTES, "{error}, {count} bytes");
}

proptest! {
    #[test]
    fn every_manifest_is_read_as_it_was_written(
        program: String, version: String, schema: u32, digest: Vec<u8>,
        counts: BTreeMap<String, u64>, newest: Option<String>,
    ) {
        let mut inventory = Inventory { schema, counts, newest, ..Inventory::default() };
        inventory.set_digest(&digest);
        let manifest = Manifest::new(&program, &version, inventory);
        let mut tar = tar::Builder::new(Vec::new());
        let text = serde_json::to_vec_pretty(&manifest).unwrap();
        tar.append(&header(MANIFEST, text.len() as u64).unwrap(), text.as_slice()).unwrap();
        tar.append(&header("a.db", 3).unwrap(), &b"abc"[..]).unwrap();
        let tar = tar.into_inner().unwrap();
        let mut taken = Vec::new();
        let read = read_tar(Path::new("backup"), tar.as_slice(), &program, &["a.db"], |_, from| {
            from.read_to_end(&mut taken).unwrap();
            Ok(())
        });
        prop_assert_eq!(read.unwrap(), manifest);
        prop_assert_eq!(taken, b"abc");
    }
}

#[test]
fn an_existing_backup_is_replaced_only_when_asked() {
    let scene = Scene::new();
    scene.pack(false).unwrap();
    let before = fs::read(scene.path("backup")).unwrap();
    assert!(matches!(scene.pack(false), Err(PackError::AlreadyThere(_))));
    assert_eq!(fs::read(scene.path("backup")).unwrap(), before);
    scene.pack(true).unwrap();
    assert_ne!(fs::read(scene.path("backup")).unwrap(), before);
    // Only the key, the packed file and the backup are left.
    assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 3);
}

#[test]
fn only_regular_files_are_ever_replaced() {
    let scene = Scene::new();
    let (target, link, folder) = (scene.path("target"), scene.path("link"), scene.path("folder"));
    fs::write(&target, "kept").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    std::os::unix::fs::symlink(scene.path("nowhere"), scene.path("dangling")).unwrap();
    fs::create_dir(&folder).unwrap();
    let socket = scene.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [&link, &scene.path("dangling"), &folder, &socket] {
        for replace in [false, true] {
            let refused = scene.pack_as(path, replace);
            assert!(matches!(refused, Err(PackError::NotAFile(_))), "{}: {refused:?}", path.display());
        }
    }
    assert!(link.is_symlink() && fs::read(&target).unwrap() == b"kept");
    assert!(matches!(scene.pack_as(Path::new("-"), true), Err(PackError::StandardOutput)));
}
