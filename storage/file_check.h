// Reads a whole database file without LMDB and without trusting a byte of it, before LMDB maps it:
// LMDB believes its file, and a damaged one makes it read outside its pages (SIGSEGV, SIGBUS), go
// round in circles, or answer wrongly. Plain reads with every number checked, so that no input can
// crash, hang or exhaust memory; run in this process, since there is nothing left that needs a
// child.
//
// Sound means: both meta pages fit each other; every tree has the pages, depth, order of keys and
// number of entries that it says; no page belongs to two owners, and no free page to any; every
// record's checksum fits its key; and each table's records add up to its summary.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/lmdb_pages.h"
#include "storage/store.h"

namespace millrace::storage {

struct FileCheckOptions {
  bool metas_only = false;  // the two meta pages and nothing else
  uint64_t expected_transaction =
      0;  // as noted at the last commit; a file that is older is damage. 0: not known
  LmdbMeta expected_meta{};  // its meta page as noted then, for when the page is lost; or all zero
  bool known_as_ours = false;  // a state file stands beside it: then it is not foreign but damaged
};

struct FileCheck {
  Status
      status;  // not ok: foreign (12), newer (12), unreadable (8, 13), damaged beyond salvage (301)
  std::vector<Damage> damage;        // empty: sound. At most kMaxDamage entries
  uint64_t transaction = 0;          // the last one committed
  std::optional<Identity> identity;  // not with metas_only
};

inline constexpr size_t kMaxDamage = 100;
// A damage message: what is left is the state of one commit before the last.
inline constexpr std::string_view kLastTransactionLost =
    "the last transaction before the damage may be lost";

// Called for every sound record, each of them once; its error ends the check and becomes `status`.
using RecordVisitor =
    std::function<Status(Table table, std::string_view key, std::string_view payload)>;

FileCheck check_file(const std::string& path, const FileCheckOptions& options,
                     const RecordVisitor& visitor = {});

}  // namespace millrace::storage
