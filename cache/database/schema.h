// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/database/database.h"

namespace cbuild::cache {

/// PRAGMA user_version of an index this program reads and writes.
inline constexpr int kSchemaVersion = 2;
/// A higher number than this is damage, not a newer version.
inline constexpr int kMaxSchemaVersion = 9999;

/// Version of an open index; 0 for an empty one.
int schema_version(Database& db);
/// Brings an index of an older version to this one, as one transaction. Versions only add tables, so a program of the
/// older version that has the index open goes on.
void migrate_schema(Database& db);
/// Makes the tables of an empty index, as one transaction. `generation` names the new index.
void create_schema(Database& db, const std::string& generation);

/// After a reboot: forgets rows that were never synced to disk before (those in `volatile`), and marks the index as of
/// this boot. Returns how many things were forgotten.
std::int64_t forget_unsynced(Database& db);

// Parts of other transactions; `db` is inside one.

/// Deletes a chain, the chains on top of it and their records; `evicted_ns` != 0 leaves tombstones.
void delete_chain(Database& db, const Digest& chain, std::int64_t evicted_ns);
/// Deletes a layer and every chain that holds it.
void delete_layer(Database& db, const Digest& layer, std::int64_t evicted_ns);

/// The kinds of rows in `volatile`.
enum class Kind : int { layer = 1, blob = 2 };
void mark_volatile(Database& db, Kind kind, const Digest& id);

}  // namespace cbuild::cache
