// `millrace test --update`: what came out becomes what is expected.
#pragma once

#include <string>

#include "engine/testing/case_file.h"
#include "engine/testing/case_run.h"

namespace millrace::engine {

// Writes into `text`, the file's text, the expectations of case `index` as `seen` has them; those
// that hold already stay as they are. `again` is another run of the case: ObjectIds that differ
// between the two become {$$any: "objectId"}. Errors: 2 BadValue.
Status record_case(const CaseFile& file, size_t index, const Observation& seen,
                   const Observation& again, std::string& text);

}  // namespace millrace::engine
