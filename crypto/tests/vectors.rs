//! Checks the library against the test vectors in `tests/vectors/`.
#![cfg(test)]

mod case;

use std::fs;
use std::path::Path;

#[test]
fn every_vector_opens_or_is_refused_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            println!("{}", path.display());
            case::check(&serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
            checked += 1;
        }
    }
    assert!(checked >= 12, "only {checked} vectors were found");
}
