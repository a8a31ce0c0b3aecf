use mainstay_catalog::{ArchiveError, Catalog, Documents};

use crate::here;

#[test]
fn a_kept_catalog_is_the_same_catalog() {
    let (documents, _) = Documents::load(&here("tests/good"));
    let bytes = documents.to_bytes();
    let (catalog, diagnostics) = Catalog::from_bytes(&bytes).expect("what was valid stays valid");
    assert!(diagnostics.is_empty());
    assert_eq!(catalog.digest, documents.digest());
    assert_eq!(catalog.documents.to_bytes(), bytes);
    for cut in 1..bytes.len() {
        // Cut anywhere, it is refused, or it is a shorter archive with another digest; never a panic.
        if let Ok((shorter, _)) = Documents::from_bytes(&bytes[..cut]) {
            assert_ne!(shorter.digest(), documents.digest());
        }
    }
    assert_eq!(
        Documents::from_bytes(b"nonsense at all").err(),
        Some(ArchiveError::NotAnArchive)
    );
    assert_eq!(
        Documents::from_bytes(b"MSTCAT\x00\x02").err(),
        Some(ArchiveError::UnknownVersion(2))
    );
    assert_eq!(
        Documents::from_bytes(b"MSTCAT\x00\x01\x05\x00").err(),
        Some(ArchiveError::CutShort)
    );
}

#[test]
fn the_digest_names_the_texts_and_their_files() {
    let digest = |texts: &[(&str, &str)]| Documents::from_texts(texts.iter().copied()).0.digest();
    let one = digest(&[("a.yaml", "apiVersion: v1\nkind: A\n"), ("b.yaml", "")]);
    assert_eq!(
        one,
        digest(&[("b.yaml", ""), ("a.yaml", "apiVersion: v1\nkind: A\n")])
    );
    assert_ne!(
        one,
        digest(&[("a.yaml", ""), ("b.yaml", "apiVersion: v1\nkind: A\n")])
    );
    assert_ne!(one, digest(&[("a.yaml", "apiVersion: v1\nkind: A\n")]));
    // Written down: a release that changes how digests are made would not find the catalogs that were kept.
    assert_eq!(
        one.to_string(),
        "e42728bfcc8906d1a54736c73efd40abdf31807c019bd7fcb862035a394535b2"
    );
}
