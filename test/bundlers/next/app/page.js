export default function Page() {
  return "up";
}
