#include "engine/connection/cluster_client.h"

#include <mongoc/mongoc.h>

#include <algorithm>
#include <array>

namespace millrace::engine {
namespace {

// How soon a server that is gone is noticed, unless the uri says otherwise.
constexpr int32_t kServerSelectionMs = 3'000;
constexpr int32_t kConnectMs = 5'000;
constexpr int32_t kSocketMs = 10'000;
constexpr uint32_t kMaxLines =
    10'000;  // every processor holds two or three; the driver's default of 100 would block the 40th

// The driver's own logging could hold parts of commands: what it has to say comes back as errors.
void ignore_log(mongoc_log_level_t, const char*, const char*, void*) {}

void init_driver() {
  static std::once_flag once;
  std::call_once(once, [] {
    mongoc_init();
    mongoc_log_set_handler(ignore_log, nullptr);
  });
}

bool is_network_error(const bson_error_t& error) {
  if (error.domain == MONGOC_ERROR_SERVER_SELECTION || error.domain == MONGOC_ERROR_STREAM)
    return true;
  return error.domain == MONGOC_ERROR_PROTOCOL && error.code == MONGOC_ERROR_PROTOCOL_INVALID_REPLY;
}

Status to_status(const bson_error_t& error) {
  std::string message = error.message;
  if (error.domain == MONGOC_ERROR_CLIENT && error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
    return Status(ErrorCode::kAuthenticationFailed, "Authentication failed: " + message);
  }
  if (is_network_error(error)) {
    bool timeout = message.find("timeout") != std::string::npos ||
                   message.find("timed out") != std::string::npos;
    bool nobody = error.domain == MONGOC_ERROR_SERVER_SELECTION;
    return Status(timeout && !nobody ? ErrorCode::kNetworkTimeout : ErrorCode::kHostUnreachable,
                  message);
  }
  if (error.domain == MONGOC_ERROR_SERVER || error.domain == MONGOC_ERROR_WRITE_CONCERN) {
    auto code = static_cast<int32_t>(error.code);
    // The callers' rule for "try again" is the network's codes.
    if (is_retryable_server_error(code))
      return Status(ErrorCode::kHostUnreachable, code_name(code) + ": " + message);
    return Status(code, message);
  }
  return Status(ErrorCode::kOperationFailed, message);
}

struct OwnedBson {
  OwnedBson() { bson_init(&bson); }
  OwnedBson(const OwnedBson&) = delete;
  OwnedBson& operator=(const OwnedBson&) = delete;
  ~OwnedBson() { bson_destroy(&bson); }
  bson_t bson;
};

// A reply's own fault as a Status: {ok: 0}, or a write concern that was not met.
Status reply_status(const ObjectView& reply) {
  Value ok = reply.get("ok");
  if (ok.is_number() && ok.to_double() != 1) {
    Value code = reply.get("code");
    Value text = reply.get("errmsg");
    int32_t number = code.is_number() ? static_cast<int32_t>(code.to_double())
                                      : static_cast<int32_t>(ErrorCode::kUnknownError);
    std::string message = text.is_string() ? std::string(text.as_string()) : "the command failed";
    if (is_retryable_server_error(number))
      return Status(ErrorCode::kHostUnreachable, code_name(number) + ": " + message);
    return Status(number, message);
  }
  Value concern = reply.get("writeConcernError");
  if (concern.is_object()) {
    Value text = concern.as_object().get("errmsg");
    return Status(
        ErrorCode::kHostUnreachable,
        "write concern not met: " + std::string(text.is_string() ? text.as_string() : ""));
  }
  return {};
}

// Commands that write are sent through the driver's retryable writes.
bool is_write(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kWrites = {"insert", "update", "delete",
                                                              "findAndModify"};
  return std::find(kWrites.begin(), kWrites.end(), name) != kWrites.end();
}

}  // namespace

bool is_retryable_server_error(int32_t code) {
  // The "retryable" and "state change" errors of the specifications of retryable writes and of
  // server discovery.
  // https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md
  static constexpr std::array kCodes = {6,   7,    89,    91,    112,   134,   189,   262,
                                        317, 9001, 10058, 10107, 11600, 11602, 13435, 13436};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

// The driver's pool for one uri: one monitor thread for the deployment, connections shared.
class MongoConnector::Pool {
 public:
  explicit Pool(mongoc_client_pool_t* pool) : pool_(pool) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { mongoc_client_pool_destroy(pool_); }
  mongoc_client_pool_t* get() const { return pool_; }

 private:
  mongoc_client_pool_t* pool_;
};

class MongoConnector::Client final : public ClusterClient {
 public:
  explicit Client(std::shared_ptr<Pool> pool)
      : pool_(std::move(pool)), client_(mongoc_client_pool_pop(pool_->get())) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() override {
    if (session_ != nullptr) mongoc_client_session_destroy(session_);
    mongoc_client_pool_push(pool_->get(), client_);
  }

  Result<Document> run(std::string_view database, const Value& command) override {
    BsonWriter encoded;
    std::string_view bytes;
    if (command.is_tree()) {
      encoded.append_document(command);
      bytes = encoded.bytes();
    } else {
      bytes = command.bson_bytes();
    }
    bson_t request;
    if (!bson_init_static(&request, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size())) {
      return Status(ErrorCode::kInvalidBson, "the command is no BSON document");
    }
    MR_RETURN_IF_ERROR(start_session());
    OwnedBson options;
    bson_error_t error{};
    if (session_ != nullptr && !mongoc_client_session_append(session_, &options.bson, &error))
      return to_status(error);

    OwnedBson reply;  // the driver initialises it anew; an empty one holds no memory
    std::string db(database);
    bool good = is_write(command.as_object().begin()->name())
                    ? mongoc_client_write_command_with_opts(client_, db.c_str(), &request,
                                                            &options.bson, &reply.bson, &error)
                    : mongoc_client_command_with_opts(client_, db.c_str(), &request, nullptr,
                                                      &options.bson, &reply.bson, &error);
    Document answer(std::string_view(reinterpret_cast<const char*>(bson_get_data(&reply.bson)),
                                     reply.bson.len));
    bool answered = answer.view().has("ok");
    if (!good && !answered) return to_status(error);
    // Errors of single writes (writeErrors) are the caller's to look at.
    if (Status status = reply_status(answer.view()); !status.ok()) return status;
    return answer;
  }

 private:
  // One session for the life of the client: a cursor's getMore must come in the session that opened
  // it. Servers without sessions (a standalone of old) do without.
  Status start_session() {
    if (session_ != nullptr || no_sessions_) return {};
    mongoc_session_opt_t* options = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(options, false);
    bson_error_t error{};
    session_ = mongoc_client_start_session(client_, options, &error);
    mongoc_session_opts_destroy(options);
    if (session_ != nullptr) return {};
    if (error.domain == MONGOC_ERROR_CLIENT && error.code == MONGOC_ERROR_CLIENT_SESSION_FAILURE) {
      no_sessions_ = true;
      return {};
    }
    return to_status(error);
  }

  std::shared_ptr<Pool> pool_;
  mongoc_client_t* client_;
  mongoc_client_session_t* session_ = nullptr;
  bool no_sessions_ = false;
};

MongoConnector::MongoConnector(ClusterConnector* local) : local_(local) {}
MongoConnector::~MongoConnector() = default;

Result<std::shared_ptr<MongoConnector::Pool>> MongoConnector::pool(const Connection& connection,
                                                                   const std::string& text) {
  std::lock_guard lock(mutex_);
  if (auto found = pools_.find(text); found != pools_.end()) return found->second;
  init_driver();
  bson_error_t error{};
  mongoc_uri_t* uri = mongoc_uri_new_with_error(text.c_str(), &error);
  // The driver's message may quote the uri, and with it a password.
  if (uri == nullptr)
    return Status(ErrorCode::kBadValue, "connection " + connection.name +
                                            ": uri is not a valid MongoDB connection string");
  auto set_default = [&](const char* option, int32_t value) {
    if (!mongoc_uri_has_option(uri, option)) mongoc_uri_set_option_as_int32(uri, option, value);
  };
  set_default(MONGOC_URI_SERVERSELECTIONTIMEOUTMS, kServerSelectionMs);
  set_default(MONGOC_URI_CONNECTTIMEOUTMS, kConnectMs);
  set_default(MONGOC_URI_SOCKETTIMEOUTMS, kSocketMs);
  if (mongoc_uri_get_appname(uri) == nullptr) mongoc_uri_set_appname(uri, "millrace");
  mongoc_client_pool_t* raw = mongoc_client_pool_new(uri);
  mongoc_uri_destroy(uri);
  if (raw == nullptr)
    return Status(ErrorCode::kBadValue,
                  "connection " + connection.name + ": the options of uri do not fit together");
  mongoc_client_pool_set_error_api(raw, MONGOC_ERROR_API_VERSION_2);
  mongoc_client_pool_max_size(raw, kMaxLines);
  auto made = std::make_shared<Pool>(raw);
  pools_.emplace(text, made);
  return made;
}

Result<std::unique_ptr<ClusterClient>> MongoConnector::connect(const Connection& connection) {
  Value uri = connection.definition.get("uri");
  if (!uri.is_string()) {
    if (local_ != nullptr) return local_->connect(connection);
    return Status(ErrorCode::kBadValue, "connection " + connection.name +
                                            " has no uri, and there is no local database here");
  }
  MR_ASSIGN_OR_RETURN(auto shared, pool(connection, std::string(uri.as_string())));
  return std::unique_ptr<ClusterClient>(std::make_unique<Client>(std::move(shared)));
}

}  // namespace millrace::engine
