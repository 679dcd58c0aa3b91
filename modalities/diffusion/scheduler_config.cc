#include "modalities/diffusion/scheduler_config.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "modalities/weights/json_file.h"

namespace weft {
namespace {

using namespace diffusion;
using rapidjson::Value;

struct ClassName {
  const char* name;
  Sampler sampler;
};
constexpr ClassName kClasses[] = {{"DDIMScheduler", Sampler::kDdim},
                                  {"DDPMScheduler", Sampler::kDdpm},
                                  {"PNDMScheduler", Sampler::kPndm},
                                  {"LMSDiscreteScheduler", Sampler::kLms},
                                  {"EulerDiscreteScheduler", Sampler::kEuler},
                                  {"EulerAncestralDiscreteScheduler", Sampler::kEulerAncestral},
                                  {"HeunDiscreteScheduler", Sampler::kHeun},
                                  {"KDPM2DiscreteScheduler", Sampler::kDpm2},
                                  {"DPMSolverMultistepScheduler", Sampler::kDpmpp2m},
                                  {"DPMSolverSDEScheduler", Sampler::kDpmppSde},
                                  {"UniPCMultistepScheduler", Sampler::kUniPc},
                                  {"LCMScheduler", Sampler::kLcm},
                                  {"TCDScheduler", Sampler::kTcd},
                                  {"DEISMultistepScheduler", Sampler::kDeis}};

class ConfigReader {
 public:
  ConfigReader(const Value& object, const std::string& source) : object_(object), source_(source) {}

  Result<SamplerConfig> read(std::optional<Sampler> sampler) {
    if (!object_.IsObject()) {
      return Status(StatusCode::kCorruptData, "not a JSON object").at(source_);
    }
    if (Status status = read_class(sampler); !status.ok()) return status;
    refuse_unsupported();
    read_noise_schedule();
    read_steps();
    read_solver();
    if (!failure_.ok()) return failure_;
    return config_;
  }

 private:
  // The value of a key; nothing if it is absent or null.
  const Value* find(const char* key) const {
    const auto found = object_.FindMember(key);
    return found == object_.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
  }
  void fail(StatusCode code, const char* key, const std::string& message, std::string expected,
            std::string got) {
    if (!failure_.ok()) return;  // the first one
    failure_ = Status(code, message)
                   .at(source_ + ", '" + key + "'")
                   .expected(std::move(expected))
                   .got(std::move(got));
  }

  std::optional<double> number(const char* key) {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->IsNumber()) {
      fail(StatusCode::kCorruptData, key, "not a number", "a number", kind_of(*value));
      return std::nullopt;
    }
    return value->GetDouble();
  }
  void integer(const char* key, int64_t& target) {
    const std::optional<double> value = number(key);
    if (!value) return;
    if (std::floor(*value) != *value || std::abs(*value) > 1e9) {
      return fail(StatusCode::kCorruptData, key, "not an integer", "an integer", std::to_string(*value));
    }
    target = static_cast<int64_t>(*value);
  }
  std::optional<Switch> flag(const char* key) {
    const Value* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->IsBool()) {
      fail(StatusCode::kCorruptData, key, "not a truth value", "true or false", kind_of(*value));
      return std::nullopt;
    }
    return value->GetBool() ? Switch::kOn : Switch::kOff;
  }
  bool is_on(const char* key) { return flag(key) == Switch::kOn; }
  std::string_view text(const char* key) {
    const Value* value = find(key);
    if (value == nullptr) return {};
    if (!value->IsString()) {
      fail(StatusCode::kCorruptData, key, "not a text", "a text", kind_of(*value));
      return {};
    }
    return {value->GetString(), value->GetStringLength()};
  }
  template <typename T>
  std::optional<T> choice(const char* key, const std::vector<std::pair<std::string_view, T>>& choices) {
    const std::string_view given = text(key);
    if (given.empty()) return std::nullopt;
    std::string expected;
    for (const auto& [name, value] : choices) {
      if (given == name) return value;
      expected += (expected.empty() ? "" : ", ") + std::string(name);
    }
    fail(StatusCode::kUnsupported, key, "an option that is not known", expected, std::string(given));
    return std::nullopt;
  }
  static std::string kind_of(const Value& value) {
    if (value.IsString())
      return "the text \"" + std::string(value.GetString(), value.GetStringLength()) + '"';
    if (value.IsBool()) return value.GetBool() ? "true" : "false";
    if (value.IsArray()) return "an array";
    return value.IsObject() ? "an object" : "a number";
  }

  Status read_class(std::optional<Sampler> wanted) {
    if (wanted) {
      config_.sampler = *wanted;
      return {};
    }
    const std::string_view name = text("_class_name");
    if (!failure_.ok()) return failure_;
    std::string known;
    for (const ClassName& entry : kClasses) {
      if (name == entry.name) {
        config_.sampler = entry.sampler;
        if (entry.sampler == Sampler::kDpmpp2m && text("algorithm_type") == "sde-dpmsolver++") {
          config_.sampler = Sampler::kDpmpp2mSde;
        }
        return {};
      }
      known += (known.empty() ? "" : ", ") + std::string(entry.name);
    }
    return Status(StatusCode::kUnsupported, "a scheduler class that is not known")
        .at(source_ + ", '_class_name'")
        .expected(known)
        .got(name.empty() ? "none" : std::string(name))
        .hint("name a sampler: " + sampler_names());
  }

  void refuse_unsupported() {
    const std::pair<const char*, const char*> off[] = {
        {"thresholding", "pictures in latents are not clipped by quantile"},
        {"use_lu_lambdas", "no schedule \"lu\""},
        {"use_flow_sigmas", "no flow matching"}};
    for (const auto& [key, message] : off) {
      if (is_on(key)) fail(StatusCode::kUnsupported, key, message, "false", "true");
    }
    if (find("trained_betas") != nullptr) {
      fail(StatusCode::kUnsupported, "trained_betas", "betas of the model's own", "null", "an array");
    }
    if (flag("predict_x0") == Switch::kOff) {
      fail(StatusCode::kUnsupported, "predict_x0", "UniPC on predicted noise", "true", "false");
    }
    choice<int>("interpolation_type", {{"linear", 0}});
    choice<int>("timestep_type", {{"discrete", 0}});
    const bool is_dpm = config_.sampler == Sampler::kDpmpp2m || config_.sampler == Sampler::kDpmpp2mSde;
    const std::string_view algorithm = text("algorithm_type");
    if (is_dpm && !algorithm.empty() && algorithm != "deis" && !algorithm.ends_with("++")) {
      fail(StatusCode::kUnsupported, "algorithm_type", "an algorithm that diffusers has deprecated",
           "dpmsolver++ or sde-dpmsolver++", std::string(algorithm));
    }
  }

  void read_noise_schedule() {
    integer("num_train_timesteps", config_.train_timesteps);
    config_.beta_start = number("beta_start");
    config_.beta_end = number("beta_end");
    config_.beta_schedule =
        choice<BetaSchedule>("beta_schedule", {{"linear", BetaSchedule::kLinear},
                                               {"scaled_linear", BetaSchedule::kScaledLinear},
                                               {"squaredcos_cap_v2", BetaSchedule::kSquaredCosine}});
    if (is_on("rescale_betas_zero_snr")) config_.terminal_snr = TerminalSnr::kZero;
    config_.prediction = choice<Prediction>("prediction_type", {{"epsilon", Prediction::kEpsilon},
                                                                {"v_prediction", Prediction::kVelocity},
                                                                {"sample", Prediction::kSample}})
                             .value_or(Prediction::kEpsilon);
  }

  void read_steps() {
    config_.timestep_spacing =
        choice<TimestepSpacing>("timestep_spacing", {{"leading", TimestepSpacing::kLeading},
                                                     {"linspace", TimestepSpacing::kLinspace},
                                                     {"trailing", TimestepSpacing::kTrailing}});
    integer("steps_offset", config_.steps_offset);
    config_.set_alpha_to_one = flag("set_alpha_to_one");
    if (const std::optional<Switch> clips = flag("clip_sample")) {
      config_.clip_sample = *clips == Switch::kOn ? number("clip_sample_range").value_or(1) : 0;
    }
    if (is_on("use_karras_sigmas")) config_.sigma_spacing = SigmaSpacing::kKarras;
    if (is_on("use_exponential_sigmas")) config_.sigma_spacing = SigmaSpacing::kExponential;
    if (is_on("use_beta_sigmas")) config_.sigma_spacing = SigmaSpacing::kBeta;
    integer("original_inference_steps", config_.original_steps);
    config_.timestep_scaling = number("timestep_scaling").value_or(config_.timestep_scaling);
  }

  void read_solver() {
    config_.skip_prk_steps = flag("skip_prk_steps").value_or(config_.skip_prk_steps);
    integer("solver_order", config_.solver_order);
    config_.lower_order_final = flag("lower_order_final").value_or(config_.lower_order_final);
    config_.euler_at_final = flag("euler_at_final").value_or(config_.euler_at_final);
    config_.final_sigma = choice<FinalSigma>("final_sigmas_type", {{"zero", FinalSigma::kZero},
                                                                   {"sigma_min", FinalSigma::kSmallest}})
                              .value_or(config_.final_sigma);
    config_.variance = choice<DdpmVariance>("variance_type", {{"fixed_small", DdpmVariance::kFixedSmall},
                                                              {"fixed_small_log", DdpmVariance::kFixedSmall},
                                                              {"fixed_large", DdpmVariance::kFixedLarge}})
                           .value_or(config_.variance);
    // Each class takes the other classes' names for its default.
    const std::string_view solver = text("solver_type");
    if (solver == "heun") config_.second_order = SecondOrder::kHeun;
    if (solver == "bh1") config_.unipc_variant = UniPcVariant::kBh1;
  }

  const Value& object_;
  const std::string& source_;
  SamplerConfig config_;
  Status failure_;
};

}  // namespace

Result<SamplerConfig> parse_scheduler_config(std::string_view json, const std::string& source,
                                             std::optional<Sampler> sampler) {
  const Result<rapidjson::Document> document = parse_json(json, source);
  if (!document.ok()) return document.status();
  return ConfigReader(*document, source).read(sampler);
}

Result<SamplerConfig> read_scheduler_config(const std::filesystem::path& path,
                                            std::optional<Sampler> sampler) {
  const Result<std::string> text = read_small_file(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  return parse_scheduler_config(*text, path.string(), sampler);
}

}  // namespace weft
