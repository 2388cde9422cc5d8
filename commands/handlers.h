// Every handler that a row of table.cc names. Each is of type Handler (command.h); its file is the
// command's name or family.
#pragma once

#include <chrono>

#include "commands/command.h"

namespace millrace::commands {

// Milliseconds since 1970 by the wall clock: for times that replies show.
inline int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

using engine::BsonWriter;
using engine::Result;

// hello.cc
Result<Progress> cmd_hello(Request& request, BsonWriter& reply);
Result<Progress> cmd_is_master(Request& request, BsonWriter& reply);
// server_info.cc
Result<Progress> cmd_build_info(Request& request, BsonWriter& reply);
Result<Progress> cmd_get_cmd_line_opts(Request& request, BsonWriter& reply);
Result<Progress> cmd_get_log(Request& request, BsonWriter& reply);
Result<Progress> cmd_list_commands(Request& request, BsonWriter& reply);
Result<Progress> cmd_ping(Request& request, BsonWriter& reply);
Result<Progress> cmd_whatsmyuri(Request& request, BsonWriter& reply);
// host_info.cc
Result<Progress> cmd_host_info(Request& request, BsonWriter& reply);
// get_parameter.cc
Result<Progress> cmd_get_parameter(Request& request, BsonWriter& reply);
// sessions.cc
Result<Progress> cmd_end_sessions(Request& request, BsonWriter& reply);
Result<Progress> cmd_refresh_sessions(Request& request, BsonWriter& reply);
Result<Progress> cmd_start_session(Request& request, BsonWriter& reply);
Result<Progress> cmd_no_transactions(Request& request, BsonWriter& reply);
// users.cc
Result<Progress> cmd_connection_status(Request& request, BsonWriter& reply);
Result<Progress> cmd_logout(Request& request, BsonWriter& reply);
Result<Progress> cmd_roles_info(Request& request, BsonWriter& reply);
Result<Progress> cmd_sasl_continue(Request& request, BsonWriter& reply);
Result<Progress> cmd_sasl_start(Request& request, BsonWriter& reply);
Result<Progress> cmd_users_info(Request& request, BsonWriter& reply);
// server_status.cc
Result<Progress> cmd_conn_pool_stats(Request& request, BsonWriter& reply);
Result<Progress> cmd_current_op(Request& request, BsonWriter& reply);
Result<Progress> cmd_kill_op(Request& request, BsonWriter& reply);
Result<Progress> cmd_server_status(Request& request, BsonWriter& reply);
Result<Progress> cmd_top(Request& request, BsonWriter& reply);
// standalone.cc
Result<Progress> cmd_get_default_rw_concern(Request& request, BsonWriter& reply);
Result<Progress> cmd_profile(Request& request, BsonWriter& reply);
Result<Progress> cmd_repl_set_get_status(Request& request, BsonWriter& reply);
// create_stream_processor.cc
Result<Progress> cmd_create_stream_processor(Request& request, BsonWriter& reply);
// drop_stream_processor.cc
Result<Progress> cmd_drop_stream_processor(Request& request, BsonWriter& reply);
// get_stream_processor.cc
Result<Progress> cmd_get_stream_processor(Request& request, BsonWriter& reply);
// get_stream_processor_stats.cc
Result<Progress> cmd_get_stream_processor_stats(Request& request, BsonWriter& reply);
// list_stream_connections.cc
Result<Progress> cmd_list_stream_connections(Request& request, BsonWriter& reply);
// list_stream_processors.cc
Result<Progress> cmd_list_stream_processors(Request& request, BsonWriter& reply);
// list_workspace_defaults.cc
Result<Progress> cmd_list_workspace_defaults(Request& request, BsonWriter& reply);
// modify_stream_processor.cc
Result<Progress> cmd_modify_stream_processor(Request& request, BsonWriter& reply);
// process_stream_processor.cc
Result<Progress> cmd_process_stream_processor(Request& request, BsonWriter& reply);
// sample_stream_processor.cc
Result<Progress> cmd_get_more_sample_stream_processor(Request& request, BsonWriter& reply);
Result<Progress> cmd_start_sample_stream_processor(Request& request, BsonWriter& reply);
// start_stream_processor.cc
Result<Progress> cmd_start_stream_processor(Request& request, BsonWriter& reply);
// stop_stream_processor.cc
Result<Progress> cmd_stop_stream_processor(Request& request, BsonWriter& reply);
// aggregate.cc
Result<Progress> cmd_aggregate(Request& request, BsonWriter& reply);
// coll_mod.cc
Result<Progress> cmd_coll_mod(Request& request, BsonWriter& reply);
// coll_stats.cc
Result<Progress> cmd_coll_stats(Request& request, BsonWriter& reply);
// count.cc
Result<Progress> cmd_count(Request& request, BsonWriter& reply);
// create.cc
Result<Progress> cmd_create(Request& request, BsonWriter& reply);
// create_indexes.cc
Result<Progress> cmd_create_indexes(Request& request, BsonWriter& reply);
// db_stats.cc
Result<Progress> cmd_db_stats(Request& request, BsonWriter& reply);
// delete.cc
Result<Progress> cmd_delete(Request& request, BsonWriter& reply);
// distinct.cc
Result<Progress> cmd_distinct(Request& request, BsonWriter& reply);
// drop.cc
Result<Progress> cmd_drop(Request& request, BsonWriter& reply);
// drop_database.cc
Result<Progress> cmd_drop_database(Request& request, BsonWriter& reply);
// drop_indexes.cc
Result<Progress> cmd_drop_indexes(Request& request, BsonWriter& reply);
// explain.cc
Result<Progress> cmd_explain(Request& request, BsonWriter& reply);
// find.cc
Result<Progress> cmd_find(Request& request, BsonWriter& reply);
// find_and_modify.cc
Result<Progress> cmd_find_and_modify(Request& request, BsonWriter& reply);
// get_more.cc
Result<Progress> cmd_get_more(Request& request, BsonWriter& reply);
// insert.cc
Result<Progress> cmd_insert(Request& request, BsonWriter& reply);
// kill_cursors.cc
Result<Progress> cmd_kill_cursors(Request& request, BsonWriter& reply);
// list_collections.cc
Result<Progress> cmd_list_collections(Request& request, BsonWriter& reply);
// list_databases.cc
Result<Progress> cmd_list_databases(Request& request, BsonWriter& reply);
// list_indexes.cc
Result<Progress> cmd_list_indexes(Request& request, BsonWriter& reply);
// rename_collection.cc
Result<Progress> cmd_rename_collection(Request& request, BsonWriter& reply);
// update.cc
Result<Progress> cmd_update(Request& request, BsonWriter& reply);
// validate_collection.cc
Result<Progress> cmd_validate(Request& request, BsonWriter& reply);

}  // namespace millrace::commands
