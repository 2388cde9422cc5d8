// validate_bson on any bytes; what it accepts must then be readable to the last field, and come out
// of the writer as it went in.
#include <cstdint>
#include <cstdlib>

#include "engine/document/bson.h"

namespace {

using namespace millrace::engine;

// Touches every byte that a reader of a valid document may touch.
size_t walk(Value value) {
  size_t sum = 0;
  if (value.is_object()) {
    for (const auto& field : value.as_object()) sum += field.name().size() + walk(field.value);
  } else if (value.is_array()) {
    for (const auto& element : value.as_array()) sum += walk(element);
  } else if (value.is_string() || value.is(Type::kBinData) || value.is(Type::kCode) ||
             value.is(Type::kSymbol)) {
    for (char c : value.as_string()) sum += static_cast<unsigned char>(c);
  } else if (value.is(Type::kRegex)) {
    sum += value.as_regex().pattern.size() + value.as_regex().options.size();
  } else if (value.is(Type::kCodeWScope)) {
    sum += value.as_code_w_scope().code.size() + walk(value.as_code_w_scope().scope);
  } else if (value.is(Type::kDBPointer)) {
    sum += value.as_db_pointer().ns.size() + value.as_db_pointer().id->bytes[11];
  } else if (value.is(Type::kDecimal)) {
    sum += value.as_decimal().low & 1;
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // Without the UTF-8 check more is accepted: this must be readable too.
  if (!validate_bson(bytes, false).ok()) return 0;
  auto document = Value::bson_object(data);
  if (walk(document) == SIZE_MAX) std::abort();  // a use of the sum, so that it is computed
  BsonWriter writer;
  writer.append_document(document);
  if (writer.bytes() != bytes) std::abort();
  if (bson_size(document) != size) std::abort();
  return 0;
}
