// $percentile and $median: known, not computed yet.
#include <array>

#include "engine/expression/accumulator.h"

namespace millrace::engine {
namespace {

constexpr std::array kRows = {
    AccumulatorRow{"$accumulator", nullptr, "aggregation/accumulator"},
    AccumulatorRow{"$median", nullptr, "aggregation/median"},
    AccumulatorRow{"$percentile", nullptr, "aggregation/percentile"},
};

}  // namespace

std::span<const AccumulatorRow> percentile_accumulators() { return kRows; }

}  // namespace millrace::engine
