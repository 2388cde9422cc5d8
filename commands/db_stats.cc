// dbStats: https://www.mongodb.com/docs/manual/reference/command/dbStats/
#include <sys/statvfs.h>

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/collection_stats.h"

namespace millrace::commands {

Result<Progress> cmd_db_stats(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"scale", "freeStorage"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto scale_given, Arguments("dbStats", request.body).count("scale"));
  if (scale_given && *scale_given == 0)
    return engine::Status(51024, "BSON field 'scale' value must be >= 1, actual value '0'");
  auto scale = static_cast<double>(scale_given.value_or(1));
  MR_ASSIGN_OR_RETURN(auto txn, request.services.database->store().read());
  MR_ASSIGN_OR_RETURN(auto collections, list_collections(*txn, request.database));
  int64_t views = 0;
  int64_t objects = 0;
  int64_t bytes = 0;
  int64_t storage_bytes = 0;
  int64_t indexes = 0;
  int64_t index_bytes = 0;
  for (const auto& collection : collections) {
    views += collection.view ? 1 : 0;
    MR_ASSIGN_OR_RETURN(auto size, measure(*txn, &collection));
    objects += size.records;
    bytes += size.bytes;
    storage_bytes += size.storage_bytes;
    indexes += static_cast<int64_t>(size.index_bytes.size());
    index_bytes += size.total_index_bytes();
  }
  auto scaled = [scale](int64_t value) { return static_cast<double>(value) / scale; };
  reply.append("db", request.database);
  reply.append("collections", static_cast<int64_t>(collections.size()) - views);
  reply.append("views", views);
  reply.append("objects", objects);
  reply.append("avgObjSize",
               objects > 0 ? static_cast<double>(bytes) / static_cast<double>(objects) : 0.0);
  reply.append("dataSize", scaled(bytes));
  reply.append("storageSize", scaled(storage_bytes));
  reply.append("indexes", indexes);
  reply.append("indexSize", scaled(index_bytes));
  reply.append("totalSize", scaled(storage_bytes + index_bytes));
  reply.append("scaleFactor", scale);
  struct statvfs disk {};
  if (statvfs(request.services.settings.data_dir.c_str(), &disk) == 0) {
    auto block = static_cast<double>(disk.f_frsize);
    reply.append("fsUsedSize", block * static_cast<double>(disk.f_blocks - disk.f_bfree) / scale);
    reply.append("fsTotalSize", block * static_cast<double>(disk.f_blocks) / scale);
  }
  return Progress::kDone;
}

}  // namespace millrace::commands
