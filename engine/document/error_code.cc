#include "engine/document/error_code.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace millrace::engine {
namespace {

struct CodeRow {
  int32_t code;
  std::string_view name;
};

// clang-format off
constexpr std::array kCodes = {
    CodeRow{0, "OK"},
    CodeRow{1, "InternalError"},
    CodeRow{2, "BadValue"},
    CodeRow{4, "NoSuchKey"},
    CodeRow{6, "HostUnreachable"},
    CodeRow{8, "UnknownError"},
    CodeRow{9, "FailedToParse"},
    CodeRow{11, "UserNotFound"},
    CodeRow{12, "UnsupportedFormat"},
    CodeRow{13, "Unauthorized"},
    CodeRow{14, "TypeMismatch"},
    CodeRow{15, "Overflow"},
    CodeRow{16, "InvalidLength"},
    CodeRow{17, "ProtocolError"},
    CodeRow{18, "AuthenticationFailed"},
    CodeRow{20, "IllegalOperation"},
    CodeRow{22, "InvalidBSON"},
    CodeRow{26, "NamespaceNotFound"},
    CodeRow{27, "IndexNotFound"},
    CodeRow{28, "PathNotViable"},
    CodeRow{29, "NonExistentPath"},
    CodeRow{34, "CannotBackfillArray"},
    CodeRow{40, "ConflictingUpdateOperators"},
    CodeRow{43, "CursorNotFound"},
    CodeRow{48, "NamespaceExists"},
    CodeRow{50, "MaxTimeMSExpired"},
    CodeRow{52, "DollarPrefixedFieldName"},
    CodeRow{53, "InvalidIdField"},
    CodeRow{54, "NotSingleValueField"},
    CodeRow{56, "EmptyFieldName"},
    CodeRow{59, "CommandNotFound"},
    CodeRow{66, "ImmutableField"},
    CodeRow{67, "CannotCreateIndex"},
    CodeRow{68, "IndexAlreadyExists"},
    CodeRow{72, "InvalidOptions"},
    CodeRow{73, "InvalidNamespace"},
    CodeRow{76, "NoReplicationEnabled"},
    CodeRow{85, "IndexOptionsConflict"},
    CodeRow{86, "IndexKeySpecsConflict"},
    CodeRow{89, "NetworkTimeout"},
    CodeRow{96, "OperationFailed"},
    CodeRow{98, "DBPathInUse"},
    CodeRow{115, "CommandNotSupported"},
    CodeRow{121, "DocumentValidationFailure"},
    CodeRow{123, "NotAReplicaSet"},
    CodeRow{125, "CommandFailed"},
    CodeRow{146, "ExceededMemoryLimit"},
    CodeRow{159, "DurationOverflow"},
    CodeRow{166, "CommandNotSupportedOnView"},
    CodeRow{167, "OptionNotSupportedOnView"},
    CodeRow{168, "InvalidPipelineOperator"},
    CodeRow{197, "InvalidIndexSpecificationOption"},
    CodeRow{207, "InvalidUUID"},
    CodeRow{223, "IllegalOpMsgFlag"},
    CodeRow{238, "NotImplemented"},
    CodeRow{241, "ConversionFailure"},
    CodeRow{280, "ChangeStreamFatalError"},
    CodeRow{286, "ChangeStreamHistoryLost"},
    CodeRow{291, "NoQueryExecutionPlans"},
    CodeRow{292, "QueryExceededMemoryLimitNoDiskUseAllowed"},
    CodeRow{301, "DataCorruptionDetected"},
    CodeRow{322, "APIVersionError"},
    CodeRow{323, "APIStrictError"},
    CodeRow{334, "MechanismUnavailable"},
    CodeRow{352, "UnsupportedOpQueryCommand"},
    CodeRow{418, "StreamProcessorWorkerOutOfMemory"},
    CodeRow{419, "StreamProcessorUserError"},
    CodeRow{420, "StreamProcessorInvalidOptions"},
    CodeRow{8000, "AtlasError"},
    CodeRow{10334, "BSONObjectTooLarge"},
    CodeRow{11000, "DuplicateKey"},
    CodeRow{11601, "Interrupted"},
    CodeRow{14031, "OutOfDiskSpace"},
};
// clang-format on
static_assert(std::is_sorted(kCodes.begin(), kCodes.end(),
                             [](const CodeRow& a, const CodeRow& b) { return a.code < b.code; }));

}  // namespace

std::string code_name(int32_t code) {
  auto row = std::lower_bound(kCodes.begin(), kCodes.end(), code,
                              [](const CodeRow& r, int32_t c) { return r.code < c; });
  if (row != kCodes.end() && row->code == code) return std::string(row->name);
  return "Location" + std::to_string(code);
}

}  // namespace millrace::engine
