// Equality and hashing that ignore the order of fields.
#include <algorithm>
#include <string_view>
#include <vector>

#include "engine/document/compare.h"
#include "engine/match/json_schema.h"

namespace millrace::engine {
namespace {

std::vector<Field> sorted_fields(const Value& object) {
  std::vector<Field> fields;
  for (const Field& field : object.as_object()) fields.push_back(field);
  std::stable_sort(fields.begin(), fields.end(),
                   [](const Field& a, const Field& b) { return a.name() < b.name(); });
  return fields;
}

}  // namespace

bool equal_unordered(const Value& a, const Value& b) {
  if (a.is_object() && b.is_object()) {
    std::vector<Field> left = sorted_fields(a);
    std::vector<Field> right = sorted_fields(b);
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](const Field& l, const Field& r) {
                        return l.name() == r.name() && equal_unordered(l.value, r.value);
                      });
  }
  if (!a.is_array() || !b.is_array()) return equal(a, b);
  ArrayView left = a.as_array();
  ArrayView right = b.as_array();
  auto l = left.begin();
  auto r = right.begin();
  for (; !(l == left.end()) && !(r == right.end()); ++l, ++r) {
    if (!equal_unordered(*l, *r)) return false;
  }
  return l == left.end() && r == right.end();
}

uint64_t hash_unordered(const Value& value) {
  if (value.is_object()) {
    uint64_t sum = 3;
    for (const Field& field : value.as_object())
      sum += hash(Value::string(field.name()), hash_unordered(field.value));
    return sum;
  }
  if (!value.is_array()) return hash(value);
  uint64_t seed = 5;
  for (const Value& element : value.as_array())
    seed = seed * 0x9E3779B97F4A7C15ull + hash_unordered(element);
  return seed;
}

}  // namespace millrace::engine
