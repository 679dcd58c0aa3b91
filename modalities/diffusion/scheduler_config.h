/// Reads diffusers' scheduler_config.json into plain sampler options.
///
/// Keys that belong to another class than the sampler asked for stay without effect, and keys that are not there take the
/// sampler's defaults: what SCHEDULER.from_config(pipe.scheduler.config) gives in diffusers.
/// Thread safety: pure functions.
///
///   Result<SamplerConfig> config = read_scheduler_config(folder / "scheduler_config.json", std::nullopt);
#ifndef WEFT_MODALITIES_DIFFUSION_SCHEDULER_CONFIG_H
#define WEFT_MODALITIES_DIFFUSION_SCHEDULER_CONFIG_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/diffusion/sampler_config.h"

namespace weft {

/// sampler: instead of the file's own. Errors: kNotFound, kIoError; kCorruptData (not JSON, a value of the wrong type);
/// kUnsupported (an unknown class without `sampler`, or an option that no sampler here has, such as trained_betas).
Result<diffusion::SamplerConfig> read_scheduler_config(const std::filesystem::path& path,
                                                       std::optional<diffusion::Sampler> sampler);
/// The same from text; `source` names it in errors.
Result<diffusion::SamplerConfig> parse_scheduler_config(std::string_view json, const std::string& source,
                                                        std::optional<diffusion::Sampler> sampler);

}  // namespace weft
#endif
