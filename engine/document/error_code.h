// Every error code that a client can see, with MongoDB's number and name. A code without a name of
// its own is shown as "Location<number>".
#pragma once

#include <cstdint>
#include <string>

namespace millrace::engine {

// Numbers and names from the MongoDB manual's "Error Codes" page; 418 to 420 from the Atlas Stream
// Processing documentation.
enum class ErrorCode : int32_t {
  kOk = 0,
  kInternalError = 1,
  kBadValue = 2,
  kNoSuchKey = 4,
  kHostUnreachable = 6,
  kUnknownError = 8,
  kFailedToParse = 9,
  kUserNotFound = 11,
  kUnsupportedFormat = 12,
  kUnauthorized = 13,
  kTypeMismatch = 14,
  kOverflow = 15,
  kInvalidLength = 16,
  kProtocolError = 17,
  kAuthenticationFailed = 18,
  kIllegalOperation = 20,
  kInvalidBson = 22,
  kNamespaceNotFound = 26,
  kIndexNotFound = 27,
  kPathNotViable = 28,
  kNonExistentPath = 29,
  kCannotBackfillArray = 34,
  kConflictingUpdateOperators = 40,
  kCursorNotFound = 43,
  kNamespaceExists = 48,
  kMaxTimeMsExpired = 50,
  kDollarPrefixedFieldName = 52,
  kInvalidIdField = 53,
  kNotSingleValueField = 54,
  kEmptyFieldName = 56,
  kCommandNotFound = 59,
  kImmutableField = 66,
  kCannotCreateIndex = 67,
  kIndexAlreadyExists = 68,
  kInvalidOptions = 72,
  kInvalidNamespace = 73,
  kNoReplicationEnabled = 76,
  kIndexOptionsConflict = 85,
  kIndexKeySpecsConflict = 86,
  kNetworkTimeout = 89,
  kOperationFailed = 96,
  kDbPathInUse = 98,
  kCommandNotSupported = 115,
  kDocumentValidationFailure = 121,
  kCommandFailed = 125,
  kDurationOverflow = 159,
  kCommandNotSupportedOnView = 166,
  kOptionNotSupportedOnView = 167,
  kInvalidPipelineOperator = 168,
  kInvalidIndexSpecificationOption = 197,
  kIllegalOpMsgFlag = 223,
  kQueryExceededMemoryLimitNoDiskUseAllowed = 292,
  kConversionFailure = 241,
  kNotImplemented = 238,
  kExceededMemoryLimit = 146,
  kChangeStreamFatalError = 280,
  kChangeStreamHistoryLost = 286,
  kNoQueryExecutionPlans = 291,
  kDataCorruptionDetected = 301,
  kApiVersionError = 322,
  kApiStrictError = 323,
  kMechanismUnavailable = 334,
  kUnsupportedOpQueryCommand = 352,
  kStreamProcessorWorkerOutOfMemory = 418,
  kStreamProcessorUserError = 419,
  kStreamProcessorInvalidOptions = 420,
  kAtlasError = 8000,
  kBsonObjectTooLarge = 10334,
  kDuplicateKey = 11000,
  kInterrupted = 11601,
  kOutOfDiskSpace = 14031,
};

// "BadValue" for 2, "Location40415" for a number without a name.
std::string code_name(int32_t code);
inline std::string code_name(ErrorCode code) { return code_name(static_cast<int32_t>(code)); }

}  // namespace millrace::engine
