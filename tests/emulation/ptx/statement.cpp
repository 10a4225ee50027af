#include "tests/emulation/ptx/statement.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace pgram::emulation::ptx {
namespace {

/// Names that integers and floating-point numbers share go by the type of the result.
Decoder decoder_of(const Statement& s) {
  static const std::unordered_map<std::string_view, Decoder> kShared{
      {"add", decode_float_sum},      {"sub", decode_float_sum},      {"mul", decode_float_sum},
      {"min", decode_float_function}, {"max", decode_float_function}, {"neg", decode_float_function},
      {"abs", decode_float_function}, {"div", decode_float_function}};
  static const std::unordered_map<std::string_view, Decoder> kDecoders{{"fma", decode_float_sum},
                                                                       {"rcp", decode_float_function},
                                                                       {"sqrt", decode_float_function},
                                                                       {"rsqrt", decode_float_function},
                                                                       {"ex2", decode_float_function},
                                                                       {"lg2", decode_float_function},
                                                                       {"sin", decode_float_function},
                                                                       {"cos", decode_float_function},
                                                                       {"tanh", decode_float_function},
                                                                       {"copysign", decode_float_function},
                                                                       {"rem", decode_integer},
                                                                       {"mad", decode_integer},
                                                                       {"popc", decode_integer},
                                                                       {"clz", decode_integer},
                                                                       {"addc", decode_carry},
                                                                       {"subc", decode_carry},
                                                                       {"madc", decode_carry},
                                                                       {"and", decode_bits},
                                                                       {"or", decode_bits},
                                                                       {"xor", decode_bits},
                                                                       {"not", decode_bits},
                                                                       {"cnot", decode_bits},
                                                                       {"shl", decode_bits},
                                                                       {"shr", decode_bits},
                                                                       {"shf", decode_bits},
                                                                       {"lop3", decode_bits},
                                                                       {"bfi", decode_bits},
                                                                       {"bfe", decode_bits},
                                                                       {"bfind", decode_bits},
                                                                       {"brev", decode_bits},
                                                                       {"prmt", decode_bits},
                                                                       {"setp", decode_compare},
                                                                       {"set", decode_compare},
                                                                       {"selp", decode_compare},
                                                                       {"testp", decode_compare},
                                                                       {"mov", decode_move},
                                                                       {"cvta", decode_move},
                                                                       {"cvt", decode_convert},
                                                                       {"ld", decode_memory},
                                                                       {"ldu", decode_memory},
                                                                       {"st", decode_memory},
                                                                       {"membar", decode_memory},
                                                                       {"fence", decode_memory},
                                                                       {"prefetch", decode_memory},
                                                                       {"prefetchu", decode_memory},
                                                                       {"nanosleep", decode_memory},
                                                                       {"atom", decode_atomic},
                                                                       {"red", decode_atomic},
                                                                       {"bra", decode_control},
                                                                       {"brx", decode_control},
                                                                       {"ret", decode_control},
                                                                       {"exit", decode_control},
                                                                       {"trap", decode_control},
                                                                       {"brkpt", decode_control},
                                                                       {"bar", decode_control},
                                                                       {"barrier", decode_control},
                                                                       {"shfl", decode_warp},
                                                                       {"vote", decode_warp},
                                                                       {"match", decode_warp},
                                                                       {"redux", decode_warp},
                                                                       {"activemask", decode_warp}};
  const auto has = [&](std::string_view modifier) {
    return std::find(s.modifiers.begin(), s.modifiers.end(), modifier) != s.modifiers.end();
  };
  if (const auto shared = kShared.find(s.name); shared != kShared.end() && is_float(s.type())) return shared->second;
  if (has("cc")) return decode_carry;
  if (kShared.contains(s.name)) return decode_integer;
  if (s.name == "bar" && has("warp")) return decode_warp;
  const auto found = kDecoders.find(s.name);
  return found == kDecoders.end() ? nullptr : found->second;
}

}  // namespace

Statement::Statement(std::string_view opcode) {
  bool first = true;
  while (!opcode.empty()) {
    const size_t dot = opcode.find('.');
    const std::string_view part = opcode.substr(0, dot);
    opcode.remove_prefix(dot == std::string_view::npos ? opcode.size() : dot + 1);
    if (first) {
      name = part;
      first = false;
    } else if (const Type type = type_named(part); type != Type::none) {
      types.push_back(type);
    } else {
      modifiers.push_back(part);
    }
  }
}

bool Statement::take(std::string_view modifier) {
  const auto found = std::find(modifiers.begin(), modifiers.end(), modifier);
  if (found == modifiers.end()) return false;
  modifiers.erase(found);
  return true;
}

int Statement::take_one_of(std::initializer_list<std::string_view> list) {
  int index = 0;
  for (const std::string_view modifier : list) {
    if (take(modifier)) return index;
    ++index;
  }
  return -1;
}

bool Statement::take_rounding(Rounding& rounding, std::string_view suffix) {
  constexpr std::string_view kNames[] = {"rn", "rz", "rm", "rp"};
  for (uint8_t mode = 0; mode < 4; ++mode) {
    if (!take(std::string(kNames[mode]) + std::string(suffix))) continue;
    rounding = static_cast<Rounding>(mode);
    return true;
  }
  return false;
}

bool Statement::fill(Instruction& i, size_t count) const {
  if (!modifiers.empty() || operands.size() != count) return false;
  uint32_t* const slots[] = {&i.d, &i.a, &i.b, &i.c, &i.e};
  for (size_t k = 0; k < count; ++k) {
    if (operands[k].kind != Operand::slot) return false;
    *slots[k] = operands[k].value;
  }
  return true;
}

bool is_known(const Statement& s) {
  return decoder_of(s) != nullptr;
}

bool decode(Statement& s, Instruction& i) {
  const Decoder decoder = decoder_of(s);
  return decoder && decoder(s, i);
}

}  // namespace pgram::emulation::ptx
