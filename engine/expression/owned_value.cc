#include "engine/expression/owned_value.h"

#include <cstdlib>
#include <new>

#include "engine/document/bson.h"

namespace millrace::engine {
namespace {

constexpr int64_t kBlockOverhead = 16;  // what malloc adds, roughly

void* copy_block(const void* from, size_t size, HeapBytes& heap) {
  void* to = std::malloc(size ? size : 1);
  if (to == nullptr) throw std::bad_alloc();
  std::memcpy(to, from, size);
  heap.used += static_cast<int64_t>(size) + kBlockOverhead;
  return to;
}

bool owns_block(Type type) {
  switch (type) {
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
    case Type::kBinData:
    case Type::kObjectId:
    case Type::kDecimal:
    case Type::kRegex:
    case Type::kDBPointer:
    case Type::kCodeWScope:
    case Type::kObject:
    case Type::kArray:
      return true;
    default:
      return false;
  }
}

}  // namespace

Value own(const Value& value, HeapBytes& heap) {
  switch (value.type()) {
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
    case Type::kBinData: {
      std::string_view text = value.as_string();
      std::string_view copy(static_cast<const char*>(copy_block(text.data(), text.size(), heap)),
                            text.size());
      if (value.is(Type::kString)) return Value::string(copy);
      if (value.is(Type::kSymbol)) return Value::symbol(copy);
      return value.is(Type::kCode) ? Value::code(copy)
                                   : Value::binary(value.binary_subtype(), copy);
    }
    case Type::kObjectId:
      return Value::object_id(static_cast<ObjectId*>(copy_block(value.address(), 12, heap)));
    case Type::kDecimal:
      return Value::decimal(copy_block(value.address(), 16, heap));
    case Type::kRegex:
    case Type::kDBPointer:
    case Type::kCodeWScope: {
      std::string_view bytes = value.encoded_bytes();
      return Value::encoded(value.type(), copy_block(bytes.data(), bytes.size(), heap),
                            bytes.size());
    }
    case Type::kObject:
    case Type::kArray: {
      if (!value.is_tree()) {
        std::string_view bytes = value.bson_bytes();
        const void* copy = copy_block(bytes.data(), bytes.size(), heap);
        return value.is_object() ? Value::bson_object(copy) : Value::bson_array(copy);
      }
      static thread_local BsonWriter writer;
      writer.clear();
      writer.begin_document();
      if (value.is_object()) {
        for (const Field& field : value.tree_fields()) writer.append(field.name(), field.value);
      } else {
        size_t index = 0;
        for (const Value& element : value.tree_elements()) writer.append_element(index++, element);
      }
      writer.end();
      const void* copy = copy_block(writer.bytes().data(), writer.size(), heap);
      return value.is_object() ? Value::bson_object(copy) : Value::bson_array(copy);
    }
    default:
      return value;
  }
}

void disown(const Value& value, HeapBytes& heap) {
  if (!owns_block(value.type())) return;
  heap.used -= static_cast<int64_t>(value.payload_size()) + kBlockOverhead;
  std::free(const_cast<void*>(value.address()));
}

}  // namespace millrace::engine
