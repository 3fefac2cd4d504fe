//! Compares what was applied with what is known.

use super::{Applied, MigrateError, Migration};

/// Returns those of the `known` migrations that are not `applied`, or why the two do not fit.
pub(super) fn pending(
    applied: &[Applied],
    known: &'static [Migration],
) -> Result<Vec<&'static Migration>, MigrateError> {
    let latest = known.last().map_or(0, |migration| migration.version);
    if let Some(newer) = applied
        .iter()
        .filter(|row| row.version > latest)
        .max_by_key(|row| row.version)
    {
        return Err(MigrateError::Newer {
            found: newer.version,
            latest,
        });
    }
    let last = applied.iter().map(|row| row.version).max().unwrap_or(0);
    let mut pending = Vec::new();
    for migration in known {
        match applied.iter().find(|row| row.version == migration.version) {
            Some(row) if row.checksum != migration.checksum() => {
                return Err(MigrateError::Edited {
                    version: row.version,
                    name: row.name.clone(),
                    applied: row.checksum.clone(),
                    known: migration.checksum(),
                });
            }
            Some(_) => {}
            None if migration.version < last => {
                return Err(MigrateError::Gap {
                    missing: migration.version,
                });
            }
            None => pending.push(migration),
        }
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::{LATEST, LOCK, MIGRATIONS};
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration {
            version: 1,
            name: "one",
            sql: "SELECT 1",
        },
        Migration {
            version: 2,
            name: "two",
            sql: "SELECT 2",
        },
        Migration {
            version: 3,
            name: "three",
            sql: "SELECT 3",
        },
    ];

    fn row(version: i32, sql: &'static str) -> Applied {
        let migration = Migration {
            version,
            name: "any",
            sql,
        };
        Applied {
            version,
            name: "any".to_owned(),
            checksum: migration.checksum(),
            applied_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[track_caller]
    fn check(applied: &[Applied], expected: Result<&[i32], &str>) {
        let found = pending(applied, KNOWN);
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                assert_eq!(
                    found
                        .iter()
                        .map(|migration| migration.version)
                        .collect::<Vec<_>>(),
                    expected
                );
            }
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn what_is_not_applied_is_pending_in_order() {
        check(&[], Ok(&[1, 2, 3]));
        check(&[row(1, "SELECT 1")], Ok(&[2, 3]));
        check(
            &[row(1, "SELECT 1"), row(2, "SELECT 2"), row(3, "SELECT 3")],
            Ok(&[]),
        );
    }

    #[test]
    fn an_edited_migration_is_named_with_both_checksums() {
        check(
            &[row(1, "SELECT 1"), row(2, "SELECT 22")],
            Err("migration 2 `any` was applied with another text; \
                 checksum of this program: ebbb5b332060a3ede7047bd7528883b0a560e729848f9feb8ff742145e909b01, \
                 of the database: 7d8add936e2f4f0ffab94724806aa06ac1d8601268c308dbd84c9eab793f46b0"),
        );
    }

    #[test]
    fn a_newer_database_is_refused_before_anything_else_is_looked_at() {
        check(
            &[row(1, "edited"), row(5, "SELECT 5"), row(4, "SELECT 4")],
            Err(
                "the database is newer than this program, which knows version 3; update it to one that knows version: 5",
            ),
        );
    }

    #[test]
    fn a_gap_is_not_filled() {
        check(
            &[row(1, "SELECT 1"), row(3, "SELECT 3")],
            Err("`schema_migrations` has a later version but not version: 2"),
        );
    }

    #[test]
    fn versions_count_from_one_without_gaps() {
        let versions: Vec<i32> = MIGRATIONS
            .iter()
            .map(|migration| migration.version)
            .collect();
        assert_eq!(versions, (1..=LATEST).collect::<Vec<_>>());
    }

    #[test]
    fn the_lock_is_the_documented_number() {
        assert_eq!(LOCK, 8_391_739_299_248_563_568);
    }

    /// A released migration is never edited: databases remember its checksum.
    #[test]
    fn checksums_stay() {
        let checksums: Vec<String> = MIGRATIONS
            .iter()
            .map(|migration| {
                format!(
                    "{} {} {}",
                    migration.version,
                    migration.name,
                    migration.checksum()
                )
            })
            .collect();
        insta::assert_snapshot!(checksums.join("\n"), @r"
        1 original ed1cc47d2560b39069637ea940d1e8541222c27e5619759609059445f3f5ecce
        2 turnkeep 84160eb263171d079b61aadf64cdbcc8ecc2bc604e8b72373528355bef421850
        ");
    }
}
