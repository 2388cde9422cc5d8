// Opening a data directory: lock, check, salvage if need be, and only then LMDB. The order of the
// steps is such that a crash between any two of them leaves a directory that opens.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "storage/data_directory.h"
#include "storage/file_check.h"
#include "storage/identity.h"
#include "storage/io_error.h"
#include "storage/lmdb_store.h"
#include "storage/salvage.h"

namespace millrace::storage {
namespace {

constexpr size_t kDamageInMessage = 5;

Status damage_error(const DataFiles& files, const std::vector<Damage>& damage) {
  std::string text = fmt::format("{} is damaged:", files.database());
  for (size_t i = 0; i < damage.size() && i < kDamageInMessage; ++i)
    text += fmt::format(" {};", damage[i].message);
  if (damage.size() > kDamageInMessage)
    text += fmt::format(" and {} more;", damage.size() - kDamageInMessage);
  text.back() = '.';
  return {ErrorCode::kDataCorruptionDetected, text};
}

// Made under another name, so that a crash half-way leaves no half database.
Result<Identity> make_database(const DataFiles& files, const OpenOptions& options) {
  Identity identity = make_identity(options.clock);
  {
    MR_ASSIGN_OR_RETURN(auto environment, make_new_environment(files, options));
    MR_RETURN_IF_ERROR(write_once(*environment, [&](WriteTransaction& txn) {
                         return txn.put(Table::kMeta, kIdentityKey, encode_identity(identity));
                       }).status);
    if (options.sync != Sync::kNever) MR_RETURN_IF_ERROR(environment->sync());
  }
  MR_RETURN_IF_ERROR(adopt_new_environment(files, options));
  return identity;
}

// Skips the walk through a large file that is just as the last clean shutdown left it.
FileCheck check(const DataFiles& files, const OpenOptions& options,
                const std::optional<ShutdownState>& state, const FileStamp& stamp) {
  FileCheckOptions how;
  how.known_as_ours = state.has_value();
  how.expected_transaction = state ? state->last_transaction : 0;
  if (state) how.expected_meta = state->meta;
  if (state && state->clean && state->stamp == stamp && stamp.bytes > options.always_check_bytes) {
    how.metas_only = true;
    auto quick = check_file(files.database(), how);
    if (!quick.status.ok() ||
        (quick.damage.empty() && quick.transaction == state->last_transaction))
      return quick;
    how.metas_only = false;
  }
  return check_file(files.database(), how);
}

Result<Identity> read_identity(const LmdbEnvironment& environment) {
  Result<Identity> identity(
      Status(ErrorCode::kUnsupportedFormat, environment.path() + " has no identity"));
  auto outcome = write_once(environment, [&](WriteTransaction& txn) -> Status {
    MR_ASSIGN_OR_RETURN(auto payload, txn.get(Table::kMeta, kIdentityKey));
    if (payload) identity = decode_identity(*payload);
    return {};
  });
  MR_RETURN_IF_ERROR(outcome.status);
  return identity;
}

Status missing_error(const DataFiles& files) {
  return {
      ErrorCode::kDataCorruptionDetected,
      fmt::format("{} is missing, and was there before. To start with an empty store, remove {}",
                  files.database(), files.state())};
}

// Checks what is there and mends it if it may. The identity if it is known already.
Result<std::optional<Identity>> check_and_mend(const DataFiles& files, const OpenOptions& options,
                                               const std::optional<ShutdownState>& state,
                                               const FileStamp& stamp,
                                               std::vector<Damage>& damage) {
  auto checked = check(files, options, state, stamp);
  MR_RETURN_IF_ERROR(checked.status);
  if (checked.damage.empty()) return checked.identity;
  if (options.on_damage == OnDamage::kRefuse) return damage_error(files, checked.damage);
  if (!checked.identity && state) {
    // The state file knows who we are; only the project's id is made anew.
    checked.identity = make_identity(options.clock);
    checked.identity->workspace_id = state->workspace_id;
  }
  if (!checked.identity) return damage_error(files, checked.damage);
  MR_RETURN_IF_ERROR(
      salvage(files, options, *checked.identity, state.value_or(ShutdownState{}), damage));
  return checked.identity;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& data_dir,
                                           const OpenOptions& options) {
  DataFiles files(data_dir);
  MR_ASSIGN_OR_RETURN(auto lock, lock_data_directory(files));
  auto state = StateFile::read(files.state());
  MR_ASSIGN_OR_RETURN(auto stamp, stamp_file(files.database()));
  std::optional<Identity> identity;
  std::vector<Damage> damage;
  if (!stamp || (stamp->bytes == 0 && !state)) {
    if (state) return missing_error(files);
    MR_ASSIGN_OR_RETURN(identity, make_database(files, options));
  } else {
    MR_ASSIGN_OR_RETURN(identity, check_and_mend(files, options, state, *stamp, damage));
  }
  MR_ASSIGN_OR_RETURN(auto environment,
                      LmdbEnvironment::open(files.database(), {options.map_bytes, options.sync}));
  if (!identity) {
    MR_ASSIGN_OR_RETURN(identity, read_identity(*environment));
  }
  MR_ASSIGN_OR_RETURN(auto state_file, StateFile::open(files.state()));
  uint64_t last = environment->last_transaction();
  MR_RETURN_IF_ERROR(state_file->write(
      {false, last, {}, identity->workspace_id, environment->meta_of(last)}, false));
  return std::unique_ptr<Store>(std::make_unique<LmdbStore>(
      LmdbStore::Parts{std::move(files), options, std::move(lock), std::move(state_file),
                       std::move(environment), std::move(*identity), std::move(damage)}));
}

}  // namespace millrace::storage
