#include "kernels/simt/report.h"

#include <algorithm>

namespace weft::simt {

const char* to_string(FindingKind kind) {
  switch (kind) {
    case FindingKind::kReadAfterWrite: return "read of what another thread wrote, no barrier between";
    case FindingKind::kWriteAfterRead: return "write over what another thread read, no barrier between";
    case FindingKind::kWriteAfterWrite: return "write over what another thread wrote, no barrier between";
    case FindingKind::kUninitialized: return "read of shared memory that nobody wrote in this block";
    case FindingKind::kPendingCopy: return "access to the destination of a cp.async that was not waited for";
    case FindingKind::kOutOfBounds: return "out of bounds";
    case FindingKind::kMisaligned: return "misaligned access";
    case FindingKind::kDivergentBarrier: return "divergent barrier";
    case FindingKind::kWrongMask: return "wrong mask";
    case FindingKind::kBadLaunch: return "impossible launch";
  }
  return "unknown finding";
}

const char* to_string(AccessKind kind) {
  switch (kind) {
    case AccessKind::kGlobalLoad: return "global load";
    case AccessKind::kGlobalStore: return "global store";
    case AccessKind::kSharedLoad: return "shared load";
    case AccessKind::kSharedStore: return "shared store";
  }
  return "unknown access";
}

std::string Finding::text() const {
  std::string text = file.empty() ? "unknown line" : file + ":" + std::to_string(line);
  text += std::string(": ") + to_string(kind);
  if (!detail.empty()) text += ": " + detail;
  text += " (kernel " + kernel + ", block (" + std::to_string(block[0]) + "," + std::to_string(block[1]) +
          "," + std::to_string(block[2]) + ")";
  if (thread >= 0) text += ", thread " + std::to_string(thread);
  if (times > 1) text += ", " + std::to_string(times) + " times";
  return text + ")";
}

bool Report::found(FindingKind kind) const {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& f) { return f.kind == kind; });
}

std::string Report::text() const {
  std::string text;
  for (const Finding& finding : findings) text += finding.text() + "\n";
  return text;
}

std::string Report::beyond(const AccessBounds& bounds) const {
  std::string text;
  for (const AccessSite& site : sites) {
    const bool global = site.kind == AccessKind::kGlobalLoad || site.kind == AccessKind::kGlobalStore;
    const double allowed = global ? bounds.extra_sectors_per_request : bounds.extra_wavefronts_per_request;
    const double extra =
        static_cast<double>(site.transactions - site.ideal) / static_cast<double>(site.requests);
    if (extra <= allowed) continue;
    text += site.file + ":" + std::to_string(site.line) + ": " + to_string(site.kind) + ", " +
            std::to_string(site.lane_bytes) + " bytes a lane: " + std::to_string(extra) + " extra " +
            (global ? "sectors" : "wavefronts") + " a request (allowed " + std::to_string(allowed) + ", " +
            std::to_string(site.requests) + " requests)\n";
  }
  return text;
}

}  // namespace weft::simt
