#include "pipeline/loader/descriptor_reader.h"

#include <utf8proc.h>

#include <cstring>
#include <utility>

namespace weft {
namespace {

// No honest plugin comes near these; a corrupt count must not be believed.
constexpr size_t kMaxTypes = 4096, kMaxPorts = 256, kMaxParameters = 1024, kMaxChoices = 4096;
constexpr size_t kMaxTextBytes = 64 << 10;

bool is_utf8(const std::string& text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  utf8proc_int32_t codepoint = 0;
  for (size_t i = 0; i < text.size();) {
    const utf8proc_ssize_t length =
        utf8proc_iterate(bytes + i, static_cast<utf8proc_ssize_t>(text.size() - i), &codepoint);
    if (length < 1) return false;
    i += static_cast<size_t>(length);
  }
  return true;
}

class Reader {
 public:
  explicit Reader(std::vector<Error>& problems) : problems_(problems) {}

  void problem(const std::string& where, std::string message, std::string expected = {},
               std::string got = {}) {
    problems_.push_back(
        {StatusCode::kInvalidArgument, std::move(message), where, std::move(expected), std::move(got), {}});
  }

  std::string text(const char* text, const std::string& where, const char* field) {
    if (text == nullptr) {
      problem(where, std::string("has no ") + field, "text", "NULL");
      return {};
    }
    const size_t size = strnlen(text, kMaxTextBytes + 1);
    if (size > kMaxTextBytes) {
      problem(where, std::string(field) + " is too long", "at most 64 KiB", "more");
      return {};
    }
    std::string copy(text, size);
    if (!is_utf8(copy)) {
      problem(where, std::string(field) + " is not valid UTF-8");
      return {};
    }
    return copy;
  }

  // A NULL-terminated array of texts; NULL stands for an empty one.
  std::vector<std::string> texts(const char* const* items, const std::string& where, const char* field) {
    std::vector<std::string> copies;
    for (size_t i = 0; items != nullptr && items[i] != nullptr; ++i) {
      if (i == kMaxChoices) {
        problem(where, std::string(field) + " does not end", "a NULL after the last entry");
        break;
      }
      copies.push_back(text(items[i], where, field));
    }
    return copies;
  }

  // Calls each(element, index) for the elements of an array whose structs all begin with their size.
  template <typename T, typename Each>
  void array(const T* items, size_t count, size_t limit, const std::string& where, const char* field,
             Each&& each) {
    if (count == 0) return;
    if (items == nullptr) {
      problem(where, std::string(field) + " is NULL", std::to_string(count) + " elements", "NULL");
      return;
    }
    if (count > limit) {
      problem(where, std::string("absurd number of ") + field, "at most " + std::to_string(limit),
              std::to_string(count));
      return;
    }
    for (size_t i = 0; i < count; ++i) {
      if (!size_fits(items[i].struct_size, sizeof(T), where + ", " + field + "[" + std::to_string(i) + "]"))
        return;
      each(items[i], i);
    }
  }

  bool size_fits(uint32_t size, size_t expected, const std::string& where) {
    if (size == expected) return true;
    problem(where, "wrong struct_size", std::to_string(expected), std::to_string(size));
    return false;
  }

 private:
  std::vector<Error>& problems_;
};

std::string place(const char* kind, const std::string& name, size_t index) {
  return std::string(kind) + " " + (name.empty() ? "#" + std::to_string(index) : "'" + name + "'");
}

std::vector<PortDescriptor> read_ports(Reader& reader, const weft_port* ports, size_t count,
                                       const std::string& where, const char* field) {
  std::vector<PortDescriptor> result;
  reader.array(ports, count, kMaxPorts, where, field, [&](const weft_port& port, size_t i) {
    PortDescriptor read;
    read.name = reader.text(port.name, where + ", " + field + "[" + std::to_string(i) + "]", "name");
    const std::string here = where + ", " + place("port", read.name, i);
    read.type = reader.text(port.type, here, "type");
    read.help = reader.text(port.help, here, "help");
    read.optional = (port.flags & WEFT_PORT_OPTIONAL) != 0;
    if ((port.flags & ~uint32_t{WEFT_PORT_OPTIONAL}) != 0) reader.problem(here, "unknown flags");
    result.push_back(std::move(read));
  });
  return result;
}

std::vector<ParameterDescriptor> read_parameters(Reader& reader, const weft_parameter* parameters,
                                                 size_t count, const std::string& where) {
  std::vector<ParameterDescriptor> result;
  reader.array(
      parameters, count, kMaxParameters, where, "parameters", [&](const weft_parameter& parameter, size_t i) {
        ParameterDescriptor read;
        read.name = reader.text(parameter.name, where + ", parameters[" + std::to_string(i) + "]", "name");
        const std::string here = where + ", " + place("parameter", read.name, i);
        read.type = reader.text(parameter.type, here, "type");
        if (parameter.default_json != nullptr)
          read.default_json = reader.text(parameter.default_json, here, "default");
        read.minimum = parameter.minimum;
        read.maximum = parameter.maximum;
        read.choices = reader.texts(parameter.choices, here, "choices");
        read.unit = reader.text(parameter.unit, here, "unit");
        read.help = reader.text(parameter.help, here, "help");
        read.per_request = (parameter.flags & WEFT_PARAMETER_PER_REQUEST) != 0;
        read.optional = (parameter.flags & WEFT_PARAMETER_OPTIONAL) != 0;
        constexpr uint32_t kKnown = WEFT_PARAMETER_PER_REQUEST | WEFT_PARAMETER_OPTIONAL;
        if ((parameter.flags & ~kKnown) != 0) reader.problem(here, "unknown flags");
        result.push_back(std::move(read));
      });
  return result;
}

NodeTypeDescriptor read_node(Reader& reader, const weft_node_type& node, size_t index) {
  NodeTypeDescriptor read;
  read.name = reader.text(node.name, "nodes[" + std::to_string(index) + "]", "name");
  const std::string here = place("node", read.name, index);
  read.version = node.version;
  read.flags = node.flags;
  read.help = reader.text(node.help, here, "help");
  read.inputs = read_ports(reader, node.inputs, node.n_inputs, here, "inputs");
  read.outputs = read_ports(reader, node.outputs, node.n_outputs, here, "outputs");
  read.parameters = read_parameters(reader, node.parameters, node.n_parameters, here);
  if (node.api == nullptr) {
    reader.problem(here, "has no functions", "a weft_node_api", "NULL");
  } else if (reader.size_fits(node.api->struct_size, sizeof(weft_node_api), here + ", api")) {
    const weft_node_api& api = *node.api;
    if (!api.create || !api.prepare || !api.execute || !api.destroy) {
      reader.problem(here, "a function of the node is missing", "create, prepare, execute and destroy",
                     "NULL");
    }
  }
  return read;
}

ModelTypeDescriptor read_model(Reader& reader, const weft_model_type& model, size_t index) {
  ModelTypeDescriptor read;
  read.name = reader.text(model.name, "models[" + std::to_string(index) + "]", "name");
  const std::string here = place("model", read.name, index);
  read.version = model.version;
  read.help = reader.text(model.help, here, "help");
  read.parameters = read_parameters(reader, model.parameters, model.n_parameters, here);
  if (!model.open || !model.estimate || !model.load || !model.evict || !model.close) {
    reader.problem(here, "a function of the model is missing", "open, estimate, load, evict and close",
                   "NULL");
  }
  return read;
}

}  // namespace

std::string abi_version_text(uint32_t version) {
  return std::to_string(version >> 16) + "." + std::to_string(version & 0xFFFF);
}

Status check_abi_version(uint32_t plugin_version) {
  // While the major version is 0 minor versions must be equal too (version.h).
  if (plugin_version == WEFT_ABI_VERSION) return {};
  return Status(StatusCode::kVersionMismatch, "built for another version of the plugin contract")
      .expected("ABI version " + abi_version_text(WEFT_ABI_VERSION))
      .got(abi_version_text(plugin_version))
      .hint("rebuild the plugin with this version's headers");
}

DescriptorReading read_descriptor(const weft_plugin* plugin) {
  DescriptorReading reading;
  Reader reader(reading.problems);
  if (plugin == nullptr) {
    Status status(StatusCode::kVersionMismatch,
                  "weft_plugin_entry returned NULL: the plugin does not work with this host");
    reading.problems.push_back(
        std::move(status).expected("ABI version " + abi_version_text(WEFT_ABI_VERSION)).error());
    return reading;
  }
  PluginDescriptor& descriptor = reading.descriptor;
  descriptor.abi_version = plugin->abi_version;
  if (Status status = check_abi_version(plugin->abi_version); !status.ok()) {
    reading.problems.push_back(status.error());
    return reading;
  }
  if (!reader.size_fits(plugin->struct_size, sizeof *plugin, "plugin")) return reading;
  descriptor.name = reader.text(plugin->name, "plugin", "name");
  descriptor.version = reader.text(plugin->version, "plugin", "version");
  descriptor.license = reader.text(plugin->license, "plugin", "license");
  descriptor.help = reader.text(plugin->help, "plugin", "help");
  descriptor.extensions = reader.texts(plugin->extensions, "plugin", "extensions");
  reader.array(
      plugin->nodes, plugin->n_nodes, kMaxTypes, "plugin", "nodes",
      [&](const weft_node_type& node, size_t i) { descriptor.nodes.push_back(read_node(reader, node, i)); });
  reader.array(plugin->models, plugin->n_models, kMaxTypes, "plugin", "models",
               [&](const weft_model_type& model, size_t i) {
                 descriptor.models.push_back(read_model(reader, model, i));
               });
  return reading;
}

}  // namespace weft
