/// The record of a run: manifest.json in its output folder, and its verification. Format: docs/manifest.md.
///
/// Everything that a result depends on is in it by content hash, so that a run can be checked and repeated.
/// Times and paths are in it too, never in the outputs themselves. Thread safety: plain values.
#ifndef WEFT_PIPELINE_RUN_MANIFEST_H
#define WEFT_PIPELINE_RUN_MANIFEST_H

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <weft/sdk/status.h>

#include "pipeline/files/durable_file.h"
#include "pipeline/run/run.h"

namespace weft {

struct ManifestFile {
  std::string path;  // absolute; of outputs, relative to the manifest's folder
  std::string sha256;
  uint64_t size_bytes = 0;
};

struct Manifest {
  static constexpr int kVersion = 1;
  std::string weft_version;
  std::string pipeline_name;
  std::vector<ManifestFile> pipelines;  // the file, then its subgraphs'
  struct Plugin {
    ManifestFile file;
    std::string name, version;
  };
  std::vector<Plugin> plugins;  // those used, by name
  struct ModelFile {
    ManifestFile file;
    std::string name, type;
    std::vector<ManifestFile> parts;  // what it read beside that file: adapters, other parts of split weights
  };
  std::vector<ModelFile> models;
  std::map<std::string, std::string> inputs_json;  // every pipeline input that had a value
  std::vector<ManifestFile> input_files;           // that nodes read
  std::vector<DrawnSeed> seeds;
  std::string isa_level, numerics_profile;
  std::string device;          // those that were used: "cpu", "cpu, cuda:0"
  std::string default_device;  // RunOptions::device
  struct Output {
    std::string sha256;  // content_sha256 of the value; of a written file's relative path for a path
    std::string type;
  };
  std::map<std::string, Output> outputs;
  std::vector<ManifestFile> output_files;
  std::vector<NodeTiming> timings;
  std::string started_utc;  // ISO 8601
  double seconds = 0;
};

std::string to_json(const Manifest& manifest);
/// Errors: kNotFound, kIoError, kCorruptData, kVersionMismatch for one written by a newer Weft.
Result<Manifest> read_manifest(const std::filesystem::path& path);
Status write_manifest(TemporaryFiles& temporaries, const std::filesystem::path& path,
                      const Manifest& manifest);

/// One thing that is not as the manifest says; empty `got`: the file is missing.
struct Deviation {
  std::string what;  // "output file 'poem.txt'", "model 'writer'"
  std::string path;
  std::string expected, got;
};
/// Re-hashes every file that the manifest names, past any cache. Empty: all is as recorded.
Result<std::vector<Deviation>> verify_manifest(const std::filesystem::path& path);

/// The options that repeat the run into `out_folder`: its inputs and seeds, no cache.
/// Errors: kUnsupported if isa_level is not the one recorded, with a hint how to force it.
Result<RunOptions> rerun_options(const Manifest& manifest, const std::string& isa_level,
                                 const std::filesystem::path& out_folder);
/// Where a repeated run's outputs differ from the first's.
std::vector<Deviation> compare_outputs(const Manifest& first, const Manifest& second);

}  // namespace weft
#endif
