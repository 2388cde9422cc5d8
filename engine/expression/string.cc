// String operators.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// clang-format off
constexpr std::array kStringExpressions = {
    ExpressionRow{"$concat",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/concat"},
    ExpressionRow{"$encStrContains",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/encStrContains"},
    ExpressionRow{"$encStrEndsWith",     {0, kAnyNumber}, nullptr, nullptr, "aggregation/encStrEndsWith"},
    ExpressionRow{"$encStrNormalizedEq", {0, kAnyNumber}, nullptr, nullptr, "aggregation/encStrNormalizedEq"},
    ExpressionRow{"$encStrStartsWith",   {0, kAnyNumber}, nullptr, nullptr, "aggregation/encStrStartsWith"},
    ExpressionRow{"$indexOfBytes",       {0, kAnyNumber}, nullptr, nullptr, "aggregation/indexOfBytes"},
    ExpressionRow{"$indexOfCP",          {0, kAnyNumber}, nullptr, nullptr, "aggregation/indexOfCP"},
    ExpressionRow{"$ltrim",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/ltrim"},
    ExpressionRow{"$replaceAll",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/replaceAll"},
    ExpressionRow{"$replaceOne",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/replaceOne"},
    ExpressionRow{"$rtrim",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/rtrim"},
    ExpressionRow{"$split",              {0, kAnyNumber}, nullptr, nullptr, "aggregation/split"},
    ExpressionRow{"$strLenBytes",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/strLenBytes"},
    ExpressionRow{"$strLenCP",           {0, kAnyNumber}, nullptr, nullptr, "aggregation/strLenCP"},
    ExpressionRow{"$strcasecmp",         {0, kAnyNumber}, nullptr, nullptr, "aggregation/strcasecmp"},
    ExpressionRow{"$substr",             {0, kAnyNumber}, nullptr, nullptr, "aggregation/substr"},
    ExpressionRow{"$substrBytes",        {0, kAnyNumber}, nullptr, nullptr, "aggregation/substrBytes"},
    ExpressionRow{"$substrCP",           {0, kAnyNumber}, nullptr, nullptr, "aggregation/substrCP"},
    ExpressionRow{"$toLower",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/toLower"},
    ExpressionRow{"$toUpper",            {0, kAnyNumber}, nullptr, nullptr, "aggregation/toUpper"},
    ExpressionRow{"$trim",               {0, kAnyNumber}, nullptr, nullptr, "aggregation/trim"},
};
// clang-format on
static_assert(sorted_and_unique(kStringExpressions));

}  // namespace

std::span<const ExpressionRow> string_expressions() { return kStringExpressions; }

}  // namespace millrace::engine
