// What takes the place of the outside world where a pipeline is tested: `millrace test` and the
// simulation.
#pragma once

#include <memory>
#include <string_view>

#include "engine/sink/sink.h"
#include "engine/source/source.h"

namespace millrace::engine {

// Asked while a pipeline is built, after the real source or sink has checked its options.
class StandIns {
 public:
  virtual ~StandIns() = default;
  // The source instead of `real`, which is not opened yet; null: the real one stays.
  virtual SourcePtr source(const SourceContext& context, const Source& real) = 0;
  // The writer instead of `real`; null: the real one stays. `stage` is "$merge" or "$emit";
  // `connection` is null for the built-in sinks. What the encoder adds as a route: sink/merge.h.
  virtual std::unique_ptr<SinkWriter> sink_writer(std::string_view stage,
                                                  const Connection* connection,
                                                  const SinkWriter& real) = 0;
};

}  // namespace millrace::engine
