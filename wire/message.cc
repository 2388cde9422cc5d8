#include "wire/message.h"

#include <boost/crc.hpp>
#include <cstring>
#include <vector>

namespace millrace::wire {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void store(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

Fault fault(int32_t code, std::string message) { return {Status(code, std::move(message))}; }
Fault fault(ErrorCode code, std::string message) { return {Status(code, std::move(message))}; }
// The sections' own lengths are wrong: what follows means nothing.
Fault broken(std::string message) {
  return {Status(ErrorCode::kInvalidBson, std::move(message)), /*close=*/true};
}

// Takes the document at the start of `bytes` and checks it. Errors: its length is nonsense (close),
// 10334, 22, 15.
Fault take_document(std::string_view& bytes, const char** document) {
  if (bytes.size() < 5) return broken("a document in the message is cut off");
  auto size = load<int32_t>(bytes.data());
  if (size < 5 || static_cast<size_t>(size) > bytes.size()) {
    return broken("a document in the message has the impossible length " + std::to_string(size));
  }
  auto length = static_cast<size_t>(size);
  if (length > engine::kMaxInternalDocumentBytes) {
    return fault(ErrorCode::kBsonObjectTooLarge,
                 "BSONObj size: " + std::to_string(size) +
                     " is invalid. Size must be between 0 and " +
                     std::to_string(engine::kMaxInternalDocumentBytes));
  }
  auto status = engine::validate_bson(bytes.substr(0, length));
  if (!status.ok()) return {std::move(status)};
  *document = bytes.data();
  bytes.remove_prefix(length);
  return {};
}

// A kind-1 section: `identifier` becomes an array field of the body.
struct Sequence {
  std::string_view identifier;
  std::vector<const char*> documents;
};

Fault take_sequence(std::string_view& bytes, Sequence& sequence) {
  if (bytes.size() < 5) return broken("a document sequence is cut off");
  auto size = load<int32_t>(bytes.data());
  if (size < 5 || static_cast<size_t>(size) > bytes.size()) {
    return broken("a document sequence has the impossible length " + std::to_string(size));
  }
  auto content = bytes.substr(4, static_cast<size_t>(size) - 4);
  bytes.remove_prefix(static_cast<size_t>(size));
  auto end = content.find('\0');
  if (end == content.npos) return broken("a document sequence's identifier has no end");
  sequence.identifier = content.substr(0, end);
  if (!engine::is_valid_utf8(sequence.identifier)) {
    return fault(ErrorCode::kInvalidBson, "a document sequence's identifier is not valid UTF-8");
  }
  content.remove_prefix(end + 1);
  while (!content.empty()) {
    const char* document = nullptr;
    if (auto bad = take_document(content, &document); !bad.ok()) return bad;
    sequence.documents.push_back(document);
  }
  return {};
}

struct Sections {
  const char* body = nullptr;
  std::vector<Sequence> sequences;
};

Fault take_sections(std::string_view bytes, Sections& sections) {
  while (!bytes.empty()) {
    auto kind = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    if (kind == 0) {
      if (sections.body) return fault(40430, "Multiple body sections in message");
      if (auto bad = take_document(bytes, &sections.body); !bad.ok()) return bad;
    } else if (kind == 1) {
      Sequence sequence;
      if (auto bad = take_sequence(bytes, sequence); !bad.ok()) return bad;
      for (const auto& earlier : sections.sequences) {
        if (earlier.identifier == sequence.identifier) {
          return fault(40431, "Duplicate document sequence: " + std::string(sequence.identifier));
        }
      }
      sections.sequences.push_back(std::move(sequence));
    } else {
      return {Status(40432, "Unknown section kind " + std::to_string(kind)), /*close=*/true};
    }
  }
  if (!sections.body) return fault(40587, "OP_MSG messages must have a body");
  return {};
}

// The body with the sequences behind its own fields.
Fault merge(const Sections& sections, Command& command) {
  auto body = Value::bson_object(sections.body);
  for (const auto& sequence : sections.sequences) {
    if (body.as_object().has(sequence.identifier)) {
      return fault(40433, "Duplicate field between body and document sequence " +
                              std::string(sequence.identifier));
    }
  }
  auto bytes = body.bson_bytes();
  command.merged = std::make_unique<engine::BsonWriter>();
  auto& writer = *command.merged;
  writer.begin_document();
  writer.append_raw(bytes.substr(4, bytes.size() - 5));
  for (const auto& sequence : sections.sequences) {
    writer.begin_array(sequence.identifier);
    for (size_t i = 0; i < sequence.documents.size(); ++i) {
      writer.append_element(i, Value::bson_object(sequence.documents[i]));
    }
    writer.end();
  }
  writer.end();
  command.body = Value::bson_object(writer.bytes().data());
  return {};
}

Fault find_name_and_database(Command& command) {
  auto fields = command.body.as_object();
  if (fields.empty()) return fault(ErrorCode::kCommandNotFound, "no such command: ''");
  command.name = fields.begin()->name();
  auto database = fields.get("$db");
  if (database.is_missing()) return fault(40571, "OP_MSG requests require a $db argument");
  if (!database.is_string()) {
    return fault(ErrorCode::kTypeMismatch, "BSON field '$db' is the wrong type '" +
                                               std::string(database.type_name()) +
                                               "', expected type 'string'");
  }
  command.database = database.as_string();
  return {};
}

}  // namespace

Header read_header(const char* bytes) { return load<Header>(bytes); }

void write_header(const Header& header, char* bytes) {
  static_assert(sizeof(Header) == kHeaderBytes);
  std::memcpy(bytes, &header, sizeof header);
}

uint32_t crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

Fault decode_op_msg(std::string_view message, Command& command) {
  if (message.size() < kHeaderBytes + 4)
    return {Status(ErrorCode::kInvalidBson, "OP_MSG without flags"), true, true};
  auto flags = load<uint32_t>(message.data() + kHeaderBytes);
  command.more_to_come = flags & kMoreToCome;
  command.exhaust_allowed = flags & kExhaustAllowed;
  uint32_t unknown = flags & kRequiredFlags & ~(kChecksumPresent | kMoreToCome);
  if (unknown) {
    return {Status(ErrorCode::kIllegalOpMsgFlag,
                   "OP_MSG has unknown required flags: " + std::to_string(unknown)),
            true};
  }
  auto sections_bytes = message.substr(kHeaderBytes + 4);
  if (flags & kChecksumPresent) {
    if (sections_bytes.size() < 4)
      return {Status(ErrorCode::kInvalidBson, "OP_MSG without its checksum"), true, true};
    sections_bytes.remove_suffix(4);
    if (crc32c(message.substr(0, message.size() - 4)) !=
        load<uint32_t>(message.data() + message.size() - 4)) {
      return {Status(ErrorCode::kInvalidBson, "OP_MSG checksum does not match contents"), true,
              true};
    }
  }
  Sections sections;
  if (auto bad = take_sections(sections_bytes, sections); !bad.ok()) return bad;
  command.body = Value::bson_object(sections.body);
  if (!sections.sequences.empty()) {
    if (auto bad = merge(sections, command); !bad.ok()) return bad;
  }
  return find_name_and_database(command);
}

Fault decode_op_query(std::string_view body, Command& command) {
  auto untrusted = [](const char* what) {
    return Fault{Status(ErrorCode::kInvalidBson, what), true, true};
  };
  command.is_op_query = true;
  if (body.size() < 4 + 1 + 8) return untrusted("OP_QUERY is cut off");
  body.remove_prefix(4);  // flags: none of them changes the answer
  auto end = body.find('\0');
  if (end == body.npos || body.size() < end + 1 + 8) return untrusted("OP_QUERY is cut off");
  auto ns = body.substr(0, end);
  body.remove_prefix(end + 1 + 8);
  constexpr std::string_view kSuffix = ".$cmd";
  if (!ns.ends_with(kSuffix)) {
    command.on_collection = true;
    return fault(5739101,
                 "OP_QUERY is no longer supported. The client driver may require an upgrade.");
  }
  command.database = ns.substr(0, ns.size() - kSuffix.size());
  const char* document = nullptr;
  if (auto bad = take_document(body, &document); !bad.ok()) return bad;
  command.body = Value::bson_object(document);
  // Old drivers wrap the command to pass a read preference: {$query: {…}, $readPreference: {…}}.
  for (auto wrapper : {"$query", "query"}) {
    auto fields = command.body.as_object();
    if (!fields.empty() && fields.begin()->name() == wrapper && fields.begin()->value.is_object()) {
      command.body = fields.begin()->value;
    }
  }
  if (command.body.as_object().empty())
    return fault(ErrorCode::kCommandNotFound, "no such command: ''");
  command.name = command.body.as_object().begin()->name();
  return {};
}

std::string op_msg_reply_prefix(int32_t request_id, int32_t response_to, uint32_t flags,
                                size_t document_bytes) {
  std::string out(kHeaderBytes, '\0');
  store(out, flags);
  out.push_back(0);  // section kind
  write_header({static_cast<int32_t>(out.size() + document_bytes), request_id, response_to, kOpMsg},
               out.data());
  return out;
}

std::string op_reply_prefix(int32_t request_id, int32_t response_to, int32_t flags,
                            size_t document_bytes) {
  std::string out(kHeaderBytes, '\0');
  store(out, flags);
  store(out, int64_t{0});  // cursor
  store(out, int32_t{0});  // starting from
  store(out, int32_t{1});  // documents
  write_header(
      {static_cast<int32_t>(out.size() + document_bytes), request_id, response_to, kOpReply},
      out.data());
  return out;
}

}  // namespace millrace::wire
