// THE list of commands: what a client can send, who may, where it runs. A row with nullptr is a
// command that MongoDB has and Millrace does not. atlasVersion has no row on purpose: MongoDB
// outside Atlas does not know it either, and shells take a success for Atlas.
#include "commands/table.h"

#include <algorithm>
#include <array>

#include "commands/handlers.h"

namespace millrace::commands {
namespace {

// The manual page stands in brackets: https://www.mongodb.com/docs/manual/reference/<page>/, for
// atlas-stream-processing
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/.
// clang-format off
constexpr std::array kCommands = {
    //         name, handler, privilege action, flags, help
    CommandRow{"abortTransaction", cmd_no_transactions, "", kAdminOnly | kInline, "aborts a transaction (command/abortTransaction)"},
    CommandRow{"aggregate", cmd_aggregate, "find", 0, "runs an aggregation pipeline (command/aggregate)"},
    CommandRow{"applyOps", nullptr, "applyOps", kAdminOnly, "applies oplog entries (command/applyOps)"},
    CommandRow{"authenticate", nullptr, "", 0, "login with a certificate (command/authenticate)"},
    CommandRow{"buildInfo", cmd_build_info, "", kNoLogin | kOpQuery | kInline, "version and build (command/buildInfo)"},
    CommandRow{"buildinfo", cmd_build_info, "", kNoLogin | kOpQuery | kInline | kAnyCase, "buildInfo in another spelling"},
    CommandRow{"bulkWrite", nullptr, "bulkWrite", kAdminOnly, "writes to several collections (command/bulkWrite)"},
    CommandRow{"cloneCollectionAsCapped", nullptr, "convertToCapped", 0, "copies into a capped collection (command/cloneCollectionAsCapped)"},
    CommandRow{"collMod", cmd_coll_mod, "collMod", 0, "changes options of a collection (command/collMod)"},
    CommandRow{"collStats", cmd_coll_stats, "collStats", 0, "size of a collection (command/collStats)"},
    CommandRow{"collstats", cmd_coll_stats, "collStats", kAnyCase, "collStats under its old name"},
    CommandRow{"commitTransaction", cmd_no_transactions, "", kAdminOnly | kInline, "commits a transaction (command/commitTransaction)"},
    CommandRow{"compact", nullptr, "compact", 0, "gives unused space back (command/compact)"},
    CommandRow{"connPoolStats", cmd_conn_pool_stats, "connPoolStats", kInline, "connections to other members (command/connPoolStats)"},
    CommandRow{"connectionStatus", cmd_connection_status, "", kNoLogin | kInline, "who is logged in on this connection (command/connectionStatus)"},
    CommandRow{"convertToCapped", nullptr, "convertToCapped", 0, "makes a collection capped (command/convertToCapped)"},
    CommandRow{"count", cmd_count, "find", 0, "number of documents that match (command/count)"},
    CommandRow{"create", cmd_create, "createCollection", 0, "creates a collection or view (command/create)"},
    CommandRow{"createIndexes", cmd_create_indexes, "createIndex", 0, "creates indexes (command/createIndexes)"},
    CommandRow{"createRole", nullptr, "createRole", 0, "adds a role (command/createRole)"},
    CommandRow{"createSearchIndexes", nullptr, "createSearchIndexes", 0, "creates Atlas Search indexes (command/createSearchIndexes)"},
    CommandRow{"createStreamProcessor", cmd_create_stream_processor, "createStreamProcessor", kAdminOnly, "stores a stream processor (atlas-stream-processing)"},
    CommandRow{"createUser", nullptr, "createUser", 0, "adds a user (command/createUser)"},
    CommandRow{"currentOp", cmd_current_op, "inprog", kAdminOnly | kInline, "running operations (command/currentOp)"},
    CommandRow{"dataSize", nullptr, "find", 0, "size of a range of documents (command/dataSize)"},
    CommandRow{"dbHash", nullptr, "dbHash", 0, "checksum of a database (command/dbHash)"},
    CommandRow{"dbStats", cmd_db_stats, "dbStats", 0, "size of a database (command/dbStats)"},
    CommandRow{"dbstats", cmd_db_stats, "dbStats", kAnyCase, "dbStats under its old name"},
    CommandRow{"delete", cmd_delete, "remove", 0, "deletes documents (command/delete)"},
    CommandRow{"deleteIndexes", cmd_drop_indexes, "dropIndex", kAnyCase, "dropIndexes under its old name"},
    CommandRow{"distinct", cmd_distinct, "find", 0, "different values of a field (command/distinct)"},
    CommandRow{"drop", cmd_drop, "dropCollection", 0, "deletes a collection (command/drop)"},
    CommandRow{"dropAllRolesFromDatabase", nullptr, "dropRole", 0, "deletes all roles of a database (command/dropAllRolesFromDatabase)"},
    CommandRow{"dropAllUsersFromDatabase", nullptr, "dropUser", 0, "deletes all users of a database (command/dropAllUsersFromDatabase)"},
    CommandRow{"dropDatabase", cmd_drop_database, "dropDatabase", 0, "deletes a database (command/dropDatabase)"},
    CommandRow{"dropIndexes", cmd_drop_indexes, "dropIndex", 0, "deletes indexes (command/dropIndexes)"},
    CommandRow{"dropRole", nullptr, "dropRole", 0, "deletes a role (command/dropRole)"},
    CommandRow{"dropSearchIndex", nullptr, "dropSearchIndex", 0, "deletes an Atlas Search index (command/dropSearchIndex)"},
    CommandRow{"dropStreamProcessor", cmd_drop_stream_processor, "dropStreamProcessor", kAdminOnly, "stops and deletes a stream processor (atlas-stream-processing)"},
    CommandRow{"dropUser", nullptr, "dropUser", 0, "deletes a user (command/dropUser)"},
    CommandRow{"endSessions", cmd_end_sessions, "", kNoLogin, "ends logical sessions and frees their cursors (command/endSessions)"},
    CommandRow{"explain", cmd_explain, "find", 0, "how a query would run (command/explain)"},
    CommandRow{"filemd5", nullptr, "find", 0, "checksum of a GridFS file (command/filemd5)"},
    CommandRow{"find", cmd_find, "find", 0, "documents that match (command/find)"},
    CommandRow{"findAndModify", cmd_find_and_modify, "update", 0, "changes one document and returns it (command/findAndModify)"},
    CommandRow{"findandmodify", cmd_find_and_modify, "update", kAnyCase, "findAndModify under its old name"},
    CommandRow{"fsync", nullptr, "fsync", kAdminOnly, "flushes writes to disk (command/fsync)"},
    CommandRow{"fsyncUnlock", nullptr, "unlock", kAdminOnly, "ends the lock of fsync (command/fsyncUnlock)"},
    CommandRow{"getClusterParameter", nullptr, "getClusterParameter", kAdminOnly, "values of cluster parameters (command/getClusterParameter)"},
    CommandRow{"getCmdLineOpts", cmd_get_cmd_line_opts, "getCmdLineOpts", kAdminOnly | kInline, "how the server was started (command/getCmdLineOpts)"},
    CommandRow{"getDefaultRWConcern", cmd_get_default_rw_concern, "getDefaultRWConcern", kAdminOnly | kInline, "read and write concern without one given (command/getDefaultRWConcern)"},
    CommandRow{"getLog", cmd_get_log, "getLog", kAdminOnly | kInline, "recent log lines (command/getLog)"},
    CommandRow{"getMore", cmd_get_more, "find", 0, "next documents of a cursor (command/getMore)"},
    CommandRow{"getMoreSampleStreamProcessor", cmd_get_more_sample_stream_processor, "sampleStreamProcessor", kAdminOnly, "next documents of a sample (atlas-stream-processing)"},
    CommandRow{"getParameter", cmd_get_parameter, "getParameter", kAdminOnly | kInline, "values of server parameters (command/getParameter)"},
    CommandRow{"getShardMap", nullptr, "getShardMap", kAdminOnly, "shards of the cluster (command/getShardMap)"},
    CommandRow{"getStreamProcessor", cmd_get_stream_processor, "getStreamProcessor", kAdminOnly, "one stream processor's definition (atlas-stream-processing)"},
    CommandRow{"getStreamProcessorStats", cmd_get_stream_processor_stats, "streamProcessorStats", kAdminOnly, "a stream processor's statistics (atlas-stream-processing)"},
    CommandRow{"grantRolesToUser", nullptr, "grantRole", 0, "gives roles to a user (command/grantRolesToUser)"},
    CommandRow{"hello", cmd_hello, "", kNoLogin | kOpQuery | kInline, "describes this server; the drivers' handshake and heartbeat (command/hello)"},
    CommandRow{"hostInfo", cmd_host_info, "hostInfo", 0, "the machine below (command/hostInfo)"},
    CommandRow{"insert", cmd_insert, "insert", 0, "adds documents (command/insert)"},
    CommandRow{"isMaster", cmd_is_master, "", kNoLogin | kOpQuery | kInline, "hello under its old name (command/hello)"},
    CommandRow{"ismaster", cmd_is_master, "", kNoLogin | kOpQuery | kInline | kAnyCase, "isMaster in another spelling"},
    CommandRow{"killAllSessions", nullptr, "killAnySession", kAdminOnly, "ends all sessions of users (command/killAllSessions)"},
    CommandRow{"killAllSessionsByPattern", nullptr, "killAnySession", kAdminOnly, "ends sessions by pattern (command/killAllSessionsByPattern)"},
    CommandRow{"killCursors", cmd_kill_cursors, "killCursors", 0, "closes cursors (command/killCursors)"},
    CommandRow{"killOp", cmd_kill_op, "killop", kAdminOnly | kInline, "ends a running operation (command/killOp)"},
    CommandRow{"killSessions", cmd_end_sessions, "", 0, "ends logical sessions and frees their cursors (command/killSessions)"},
    CommandRow{"listCollections", cmd_list_collections, "listCollections", 0, "collections of a database (command/listCollections)"},
    CommandRow{"listCommands", cmd_list_commands, "", kInline, "this list (command/listCommands)"},
    CommandRow{"listDatabases", cmd_list_databases, "listDatabases", kAdminOnly, "names and sizes of the databases (command/listDatabases)"},
    CommandRow{"listIndexes", cmd_list_indexes, "listIndexes", 0, "indexes of a collection (command/listIndexes)"},
    CommandRow{"listStreamConnections", cmd_list_stream_connections, "listStreamConnections", kAdminOnly, "entries of the connection registry (atlas-stream-processing)"},
    CommandRow{"listStreamProcessors", cmd_list_stream_processors, "listStreamProcessors", kAdminOnly, "the stream processors of the workspace (atlas-stream-processing)"},
    CommandRow{"listWorkspaceDefaults", cmd_list_workspace_defaults, "", kAdminOnly, "the workspace's default tiers (atlas-stream-processing)"},
    CommandRow{"lockInfo", nullptr, "serverStatus", kAdminOnly, "locks that are held (command/lockInfo)"},
    CommandRow{"logRotate", nullptr, "logRotate", kAdminOnly, "begins a new log file (command/logRotate)"},
    CommandRow{"logout", cmd_logout, "", kNoLogin | kInline, "ends the login of this connection (command/logout)"},
    CommandRow{"mapReduce", nullptr, "find", 0, "aggregation by JavaScript (command/mapReduce)"},
    CommandRow{"mapreduce", nullptr, "find", kAnyCase, "mapReduce under its old name"},
    CommandRow{"modifyStreamProcessor", cmd_modify_stream_processor, "modifyStreamProcessor", kAdminOnly, "changes a stopped stream processor (atlas-stream-processing)"},
    CommandRow{"ping", cmd_ping, "", kNoLogin | kOpQuery | kInline, "answers ok (command/ping)"},
    CommandRow{"planCacheClear", nullptr, "planCacheWrite", 0, "forgets query plans (command/planCacheClear)"},
    CommandRow{"processStreamProcessor", cmd_process_stream_processor, "processStreamProcessor", kAdminOnly, "runs a pipeline without storing it (atlas-stream-processing)"},
    CommandRow{"profile", cmd_profile, "enableProfiler", kInline, "the database profiler (command/profile)"},
    CommandRow{"reIndex", nullptr, "reIndex", 0, "builds all indexes anew (command/reIndex)"},
    CommandRow{"refreshSessions", cmd_refresh_sessions, "", kInline, "keeps logical sessions alive (command/refreshSessions)"},
    CommandRow{"renameCollection", cmd_rename_collection, "renameCollectionSameDB", kAdminOnly, "renames a collection (command/renameCollection)"},
    CommandRow{"replSetGetConfig", nullptr, "replSetGetConfig", kAdminOnly, "configuration of the replica set (command/replSetGetConfig)"},
    CommandRow{"replSetGetStatus", cmd_repl_set_get_status, "replSetGetStatus", kAdminOnly | kInline, "status of the replica set (command/replSetGetStatus)"},
    CommandRow{"replSetInitiate", nullptr, "replSetConfigure", kAdminOnly, "makes a replica set (command/replSetInitiate)"},
    CommandRow{"revokeRolesFromUser", nullptr, "revokeRole", 0, "takes roles from a user (command/revokeRolesFromUser)"},
    CommandRow{"rolesInfo", cmd_roles_info, "viewRole", kInline, "roles of a database (command/rolesInfo)"},
    CommandRow{"saslContinue", cmd_sasl_continue, "", kNoLogin | kOpQuery | kInline, "continues a login (drivers' authentication specification)"},
    CommandRow{"saslStart", cmd_sasl_start, "", kNoLogin | kOpQuery | kInline, "begins a login (drivers' authentication specification)"},
    CommandRow{"serverStatus", cmd_server_status, "serverStatus", 0, "counters of the server (command/serverStatus)"},
    CommandRow{"setClusterParameter", nullptr, "setClusterParameter", kAdminOnly, "changes a cluster parameter (command/setClusterParameter)"},
    CommandRow{"setDefaultRWConcern", nullptr, "setDefaultRWConcern", kAdminOnly, "changes the default read and write concern (command/setDefaultRWConcern)"},
    CommandRow{"setFeatureCompatibilityVersion", nullptr, "setFeatureCompatibilityVersion", kAdminOnly, "changes the feature compatibility version (command/setFeatureCompatibilityVersion)"},
    CommandRow{"setParameter", nullptr, "setParameter", kAdminOnly, "changes a server parameter (command/setParameter)"},
    CommandRow{"shutdown", nullptr, "shutdown", kAdminOnly, "ends the server (command/shutdown)"},
    CommandRow{"startSampleStreamProcessor", cmd_start_sample_stream_processor, "sampleStreamProcessor", kAdminOnly, "opens a sample of a running stream processor (atlas-stream-processing)"},
    CommandRow{"startSession", cmd_start_session, "", kInline, "a new logical session (command/startSession)"},
    CommandRow{"startStreamProcessor", cmd_start_stream_processor, "startStreamProcessor", kAdminOnly, "starts a stream processor (atlas-stream-processing)"},
    CommandRow{"stopStreamProcessor", cmd_stop_stream_processor, "stopStreamProcessor", kAdminOnly, "stops a stream processor (atlas-stream-processing)"},
    CommandRow{"top", cmd_top, "top", kAdminOnly | kInline, "time used per collection (command/top)"},
    CommandRow{"update", cmd_update, "update", 0, "changes documents (command/update)"},
    CommandRow{"updateRole", nullptr, "grantRole", 0, "changes a role (command/updateRole)"},
    CommandRow{"updateSearchIndex", nullptr, "updateSearchIndex", 0, "changes an Atlas Search index (command/updateSearchIndex)"},
    CommandRow{"updateUser", nullptr, "changePassword", 0, "changes a user (command/updateUser)"},
    CommandRow{"usersInfo", cmd_users_info, "viewUser", kInline, "users of a database (command/usersInfo)"},
    CommandRow{"validate", cmd_validate, "validate", 0, "checks a collection (command/validate)"},
    CommandRow{"whatsmyuri", cmd_whatsmyuri, "", kNoLogin | kInline, "the client's own address (command/whatsmyuri)"},
};
// clang-format on
static_assert(std::is_sorted(kCommands.begin(), kCommands.end(),
                             [](const CommandRow& a, const CommandRow& b) {
                               return a.name <= b.name;
                             }),
              "sorted by name, each name once");

}  // namespace

std::span<const CommandRow> command_table() { return kCommands; }

const CommandRow* find_command(std::string_view name) {
  auto row = std::lower_bound(kCommands.begin(), kCommands.end(), name,
                              [](const CommandRow& r, std::string_view n) { return r.name < n; });
  return row != kCommands.end() && row->name == name ? &*row : nullptr;
}

}  // namespace millrace::commands
