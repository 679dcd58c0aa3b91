#include "pipeline/cli/exit_code.h"

namespace weft::cli {

ExitCode exit_code_for(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return kSuccess;
    case StatusCode::kNotFound: return kNotFound;
    case StatusCode::kOutOfMemory: return kDoesNotFit;
    case StatusCode::kCorruptData:
    case StatusCode::kVersionMismatch:
    case StatusCode::kUnsupported: return kBadData;
    case StatusCode::kPermissionDenied: return kRefused;
    case StatusCode::kIoError: return kInputOutput;
    case StatusCode::kTimedOut: return kTimedOut;
    case StatusCode::kCancelled: return kInterrupted;
    case StatusCode::kInternal: return kInternal;
    case StatusCode::kDeviceLost: return kDeviceLost;
    case StatusCode::kInvalidArgument:
    case StatusCode::kInvalidShape:
    case StatusCode::kAlreadyExists:
    case StatusCode::kOutOfRange: return kFailure;
  }
  return kFailure;
}

ExitCode exit_code_before_run(StatusCode code) {
  return code == StatusCode::kInvalidArgument ? kUsage : exit_code_for(code);
}

}  // namespace weft::cli
