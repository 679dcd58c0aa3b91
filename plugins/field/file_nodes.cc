#include "modalities/field/files/field_file.h"
#include "modalities/weights/mapped_file.h"
#include "plugins/field/field_nodes.h"

namespace weft::field {
namespace {

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;

constexpr const char* kMissing[] = {"refuse", "keep", nullptr};
constexpr weft_port kLoadOutputs[] = {
    sdk::port("field", "field.array", "The field, f32 or f64."),
    sdk::port("description", "json", "Its name, units, axes and coordinates.")};
constexpr weft_parameter kLoadParameters[] = {
    sdk::parameter(
        {.name = "path",
         .type = "path",
         .help = "An npy, npz, NetCDF or GRIB file; relative paths start at the pipeline's folder.",
         .flags = kPerRequest}),
    sdk::parameter({.name = "variable",
                    .type = "text",
                    .default_json = "\"\"",
                    .help = "Its name in the file; need not be given where there is only one.",
                    .flags = kPerRequest}),
    sdk::parameter(
        {.name = "dimensions",
         .type = "list<text>",
         .default_json = "[]",
         .help =
             "Of npy and npz, which do not say them: names, outermost first. An array of an npz with such "
             "a name holds the coordinates."}),
    sdk::parameter(
        {.name = "missing",
         .type = "choice",
         .default_json = "\"refuse\"",
         .choices = kMissing,
         .help = "refuse: a field with values that are missing, NaN or infinite is an error that names the "
                 "first; keep: they are NaN (or infinite) in the field."}),
    sdk::parameter(
        {.name = "trusted",
         .type = "bool",
         .default_json = "false",
         .help = "Whether you know where the file is from: NetCDF-4 (HDF5) and GRIB are decoded by libraries "
                 "that are not hardened against malicious files, and read only if this is true."}),
    sdk::parameter({.name = "max_megabytes",
                    .type = "int",
                    .default_json = "2048",
                    .minimum = 1,
                    .maximum = 1048576,
                    .unit = "MB",
                    .help = "A field that would take more memory is refused before it is read."})};

constexpr const char* kFormats[] = {"auto", "npy", "npz", "netcdf", "netcdf4", nullptr};
constexpr weft_port kSaveInputs[] = {sdk::port("field", "field.array", "What to write.")};
constexpr weft_port kSaveOutputs[] = {sdk::port("path", "path", "Where the file is.")};
constexpr weft_parameter kSaveParameters[] = {
    sdk::parameter({.name = "path",
                    .type = "path",
                    .help = "Below the output folder: .npy has the numbers only, .npz, .nc and .nc4 also "
                            "coordinates and units.",
                    .flags = kPerRequest}),
    sdk::parameter(
        {.name = "format",
         .type = "choice",
         .default_json = "\"auto\"",
         .choices = kFormats,
         .help = "auto: as the path ends; .nc is netcdf, the classic format, .nc4 NetCDF-4 (HDF5)."})};

FieldFileOptions options_of(const sdk::Parameters& parameters) {
  FieldFileOptions options;
  options.trust = parameters.get_bool("trusted") ? FieldFileTrust::kTrusted : FieldFileTrust::kNone;
  options.max_bytes = parameters.get_int("max_megabytes") * 1'000'000;
  options.dimensions = sdk::text_list(parameters, "dimensions");
  return options;
}

Status refuse_missing(const FieldType& type, const void* data) {
  const std::optional<int64_t> index = first_not_finite(type.dtype, data, type.elements());
  if (!index) return {};
  return Status(StatusCode::kCorruptData,
                "a value of '" + type.name + "' is missing: " + element_name(type, *index) + " is not finite")
      .hint("\"missing\": \"keep\" allows such values");
}

Result<FieldFormat> format_for(std::string_view parameter, std::string_view path) {
  const std::string name = parameter == "auto"      ? std::string(path)
                           : parameter == "netcdf"  ? ".nc"
                           : parameter == "netcdf4" ? ".nc4"
                                                    : "." + std::string(parameter);
  if (const std::optional<FieldFormat> format = field_format_of_name(name)) return *format;
  return Status(StatusCode::kInvalidArgument, "the path does not say which format to write")
      .expected("a path that ends in .npy, .npz, .nc or .nc4")
      .got("'" + std::string(path) + "'")
      .hint("or choose one with \"format\"");
}

}  // namespace

Status LoadNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::spec(WEFT_KIND_TENSOR));  // nothing more is known before the file is opened
  plan.set_output(1, sdk::bytes_spec(WEFT_UNBOUNDED));
  return {};
}

Status LoadNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Parameters parameters = request.parameters();
  const Result<std::string> path = request.resolve_input(std::string(parameters.get_text("path")));
  if (!path.ok()) return path.status();
  const Result<MappedFile> file = MappedFile::open(*path);
  if (!file.ok()) return file.status();
  Result<std::unique_ptr<FieldFile>> opened = open_field_file(file->bytes(), options_of(parameters));
  if (!opened.ok()) return opened.status().at(*path);
  const Result<size_t> index = (*opened)->find(parameters.get_text("variable"));
  if (!index.ok()) return index.status().at(*path);
  const FieldType& type = (*opened)->fields()[*index];
  Result<sdk::NewTensor> tensor =
      request.host().allocate_tensor(type.dtype, type.shape(), execution.stream(), "field");
  if (!tensor.ok()) return tensor.status();
  Status status = (*opened)->read(*index, tensor->view.data);
  if (status.ok() && parameters.get_text("missing") == "refuse")
    status = refuse_missing(type, tensor->view.data);
  if (!status.ok()) return std::move(status).at(*path);
  const std::string attributes = field_attributes(type);
  status = request.set_output(
      0, request.host().make_tensor(tensor->buffer, tensor->view, kFieldPortType, attributes.c_str()));
  return status.ok() ? request.set_output(1, request.host().make_json(attributes)) : status;
}

Status SaveNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(4096));
  return {};
}

Status SaveNode::run(sdk::Request& request, const sdk::Execution&) {
  const std::string path(request.parameters().get_text("path"));
  const Result<FieldFormat> format = format_for(request.parameters().get_text("format"), path);
  if (!format.ok()) return format.status();
  const Result<Field> field = field_of(request.input(0));
  if (!field.ok()) return field.status().at("port 'field'");
  const Result<std::string> bytes = encode_field(field->type, field->data, *format);
  if (!bytes.ok()) return bytes.status();
  return request.set_output(0, request.save(path, *bytes));
}

constexpr weft_node_type kLoadNode =
    sdk::node<LoadNode>({.name = "field.load",
                         .help = "Reads a field from an npy, npz, NetCDF or GRIB file.",
                         .flags = WEFT_NODE_READS_FILES,
                         .outputs = kLoadOutputs,
                         .parameters = kLoadParameters});
constexpr weft_node_type kSaveNode = sdk::node<SaveNode>({.name = "field.save",
                                                          .help = "Writes a field into the output folder.",
                                                          .flags = WEFT_NODE_WRITES_FILES,
                                                          .inputs = kSaveInputs,
                                                          .outputs = kSaveOutputs,
                                                          .parameters = kSaveParameters});

}  // namespace weft::field
