#include "commands/local_cluster.h"

#include <thread>

#include "commands/command.h"
#include "commands/dispatch.h"
#include "commands/table.h"

namespace millrace::commands {

using engine::Document;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

class LocalClusterClient final : public engine::ClusterClient {
 public:
  explicit LocalClusterClient(Services& services) : services_(services) {
    client_.remote_address = "in process";
  }

  Result<Document> run(std::string_view database, const Value& command) override {
    if (!command.is_object() || command.as_object().empty())
      return Status(engine::ErrorCode::kFailedToParse, "a command must not be empty");
    std::string name(command.as_object().begin()->name());
    engine::BsonWriter reply;
    Request request{services_, client_, command, name, database, std::chrono::steady_clock::now()};
    const CommandRow* row = find_command(name);
    Outcome outcome = run_command(row, request, reply);
    while (outcome.progress == Progress::kWait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      outcome = run_command(row, request, reply);
    }
    Document document(reply.bytes());
    if (outcome.ok) return document;
    Value code = document.get("code");
    Value message = document.get("errmsg");
    return Status(code.is_integer() ? static_cast<int32_t>(code.integer_value()) : 8,
                  message.is_string() ? std::string(message.as_string())
                                      : "the local database refused the command");
  }

 private:
  Services& services_;
  Client client_;
};

}  // namespace

Result<std::unique_ptr<engine::ClusterClient>> LocalClusterConnector::connect(
    const engine::Connection&) {
  return std::unique_ptr<engine::ClusterClient>(std::make_unique<LocalClusterClient>(services_));
}

}  // namespace millrace::commands
